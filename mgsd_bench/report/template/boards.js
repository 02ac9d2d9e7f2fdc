// Pictures: a world's tiles, and over them what was misread and where plans lead.
const stage = document.createElement("canvas");

/** A world as the boards draw it: its tiles after every legal action, and the cells of the way. */
function world(picture, route) {
  const moments = [unpack(picture.cells)];
  for (const change of route.changes ? route.changes.split(" ") : []) {
    const cells = moments[moments.length - 1].slice(), pairs = unpack(change);
    for (let i = 0; i < pairs.length; i += 2) cells[pairs[i]] = pairs[i + 1];
    moments.push(cells);
  }
  return { ...route, size: picture.size, sheet: data.sheets[picture.sheet], moments, path: unpack(route.path) };
}

function tiles(sheet) {
  if (!sheet.loaded) {
    sheet.loaded = new Image();
    sheet.loaded.addEventListener("load", drawBoards);
    sheet.loaded.src = sheet.image;
  }
  return sheet.loaded;
}

/**
 * Draw a world after so many actions.
 * over: plan, whether there is one; missed and invented, cells; shortest, a world whose way to draw; before, whether
 * the action that breaks a rule is still to come.
 */
function board(canvas, shownWorld, step, over) {
  const { size, sheet, moments } = shownWorld, image = tiles(sheet);
  const side = Math.max(64, Math.round(canvas.clientWidth * devicePixelRatio));
  canvas.width = canvas.height = side;
  if (!image.complete) return; // its load event draws again
  const pen = canvas.getContext("2d"), wide = side / size, { pixels } = sheet;
  stage.width = stage.height = size * pixels; // put together first and scaled as a whole, so that no seams show
  const stagePen = stage.getContext("2d");
  moments[Math.min(step, moments.length - 1)].forEach((number, i) => {
    stagePen.drawImage(image, 0, number * pixels, pixels, pixels,
      (i % size) * pixels, Math.floor(i / size) * pixels, pixels, pixels);
  });
  pen.imageSmoothingQuality = "high";
  pen.drawImage(stage, 0, 0, side, side);
  over.missed.forEach((i) => mark(pen, wide, i % size, Math.floor(i / size), ORANGE, [wide / 7, wide / 12]));
  over.invented.forEach((i) => mark(pen, wide, i % size, Math.floor(i / size), VERMILLION, []));
  if (over.shortest) {
    pen.translate(wide / 9, wide / 9); // beside the plan of the answer where the two go the same way
    way(pen, wide, size, over.shortest, over.shortest.path.length - 1, TEAL, [wide / 6, wide / 9]);
    pen.resetTransform();
  }
  if (!over.plan) return;
  pen.globalAlpha = 0.5;
  way(pen, wide, size, shownWorld, shownWorld.path.length - 1, MAGENTA, []);
  pen.globalAlpha = 1;
  way(pen, wide, size, shownWorld, Math.min(step, shownWorld.path.length - 1), MAGENTA, []);
  if (shownWorld.illegal && !over.before) cross(pen, wide, size, shownWorld);
}

/** A frame in a cell: dashed around what was missed, whole around what is false. */
function mark(pen, wide, x, y, colour, dash) {
  const inset = Math.max(2, wide / 16);
  for (const [ink, width] of [[HALO, inset * 1.6], [colour, inset]]) {
    pen.strokeStyle = ink;
    pen.lineWidth = width;
    pen.setLineDash(dash);
    pen.strokeRect(x * wide + inset, y * wide + inset, wide - 2 * inset, wide - 2 * inset);
  }
  pen.setLineDash([]);
}

const centre = (wide, size, i) => [((i % size) + 0.5) * wide, (Math.floor(i / size) + 0.5) * wide];

/** A line along the first steps of a route, and a ring for every action that is no move. */
function way(pen, wide, size, route, steps, colour, dash) {
  const cells = route.path.slice(0, steps + 1), points = [...cells].map((i) => centre(wide, size, i));
  const width = Math.max(2, wide / 14);
  pen.lineJoin = pen.lineCap = "round";
  for (const [ink, extra] of [[HALO, 2 * Math.max(1, width / 4)], [colour, 0]]) {
    pen.strokeStyle = ink;
    pen.lineWidth = width + extra;
    pen.setLineDash(dash);
    pen.beginPath();
    points.forEach(([x, y]) => pen.lineTo(x, y));
    pen.stroke();
    pen.setLineDash([]);
    points.forEach(([x, y], i) => {
      if (!i || cells[i] !== cells[i - 1]) return;
      pen.beginPath();
      pen.arc(x, y, 0.38 * wide, 0, 2 * Math.PI);
      pen.stroke();
    });
  }
}

/** A cross where an illegal action stopped the rollout, on the border that a move ran into, and the rule's name. */
function cross(pen, wide, size, { path, illegal, bump }) {
  const [x, y] = centre(wide, size, path[path.length - 1]);
  const side = size * wide, arm = 0.16 * wide, fit = (v) => Math.min(Math.max(v, arm), side - arm);
  const cx = fit(x + bump[1] * 0.5 * wide), cy = fit(y + bump[0] * 0.5 * wide);
  for (const [ink, extra] of [[HALO, 3], [MAGENTA, 0]]) {
    pen.strokeStyle = ink;
    pen.lineWidth = Math.max(2, wide / 14) + extra;
    pen.beginPath();
    for (const [a, b] of [[-arm, -arm], [-arm, arm]]) {
      pen.moveTo(cx + a, cy + b);
      pen.lineTo(cx - a, cy - b);
    }
    pen.stroke();
  }
  const text = Math.round(Math.max(11 * devicePixelRatio, Math.min(wide / 5, 15 * devicePixelRatio)));
  pen.font = `600 ${text}px system-ui, sans-serif`;
  pen.textBaseline = "middle";
  pen.textAlign = "center";
  const half = pen.measureText(illegal).width / 2 + text / 2;
  const tx = Math.min(Math.max(cx, half), side - half), above = cy - arm - text, below = cy + arm + text;
  const ty = (bump[0] < 0 && above > text) || below + text > side ? above : below; // away from the agent
  pen.fillStyle = MAGENTA;
  pen.fillRect(tx - half, ty - 0.75 * text, 2 * half, 1.5 * text);
  pen.fillStyle = HALO;
  pen.fillText(illegal, tx, ty);
}

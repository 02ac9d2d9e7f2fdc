"use strict";
// The explorer of answers. Whatever a model wrote reaches the page through textContent only.
(() => {
  const ROW = 46; // pixels, as in the style sheet
  const SPARE = 6; // rows drawn beyond either end of what can be seen
  const BEAT = 450; // milliseconds a step when playing
  const MAGENTA = "#dc0078", TEAL = "#0a7f9c", ORANGE = "#ff8a00", HALO = "#ffffff";
  const ARROWS = { left: "\u2190", down: "\u2193", right: "\u2192", up: "\u2191" };

  const $ = (id) => document.getElementById(id);
  const read = (id) => $(id).textContent;
  const data = JSON.parse(read("data-index"));
  const episodeLines = read("data-episodes").split("\n");
  const sampleLines = read("data-samples").split("\n");
  for (const id of ["data-index", "data-episodes", "data-samples"]) $(id).remove();

  const unpack = (text) => Uint16Array.from({ length: text.length }, (_, i) => text.charCodeAt(i) - data.first);
  const facets = Object.fromEntries(data.facets.map((f) => [f.name, { ...f, codes: unpack(f.codes) }]));
  const many = (name) => facets[name].values.length > 1;
  const value = (name, sample) => facets[name].values[facets[name].codes[sample]];
  const idOf = (sample) => data.ids[data.owners[sample]];
  const key = (sample) =>
    [many("model") ? value("model", sample) : "", idOf(sample), value("condition", sample), value("repeat", sample)]
      .filter(Boolean).join("/");

  function element(tag, properties = {}, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children); // strings become text nodes
    return made;
  }

  const tag = (text, coloured) => {
    const made = element("span", { className: "tag" }, text);
    if (coloured) made.dataset.value = text;
    return made;
  };

  const swatch = (name) => {
    const made = element("i", { className: "swatch" });
    made.dataset.value = name;
    return made;
  };

  // ---- the list -------------------------------------------------------------------------------------------------

  const list = $("list"), spacer = $("spacer");
  let shown = []; // numbers of the samples that pass the filters
  let place = -1; // of the selected one within them
  const pool = [];

  function filter() {
    const words = $("search").value.trim().toLowerCase();
    const wanted = [...document.querySelectorAll("#filters select")].filter((s) => s.value !== "")
      .map((s) => [facets[s.name].codes, Number(s.value)]);
    const chosen = shown[place];
    const passing = data.ids.map((id) => id.toLowerCase().includes(words));
    shown = [];
    for (let i = 0; i < data.owners.length; i++) {
      if (passing[data.owners[i]] && wanted.every(([codes, code]) => codes[i] === code)) shown.push(i);
    }
    const total = data.owners.length.toLocaleString("en");
    $("count").textContent = `${shown.length.toLocaleString("en")} of ${total} answers`;
    $("none").hidden = shown.length > 0;
    spacer.style.height = `${shown.length * ROW}px`;
    select(Math.max(0, shown.indexOf(chosen)));
  }

  function rowOf(i) {
    if (!pool[i]) {
      const row = element("div", { className: "row" });
      row.setAttribute("role", "option");
      row.append(element("span", { className: "id" }), element("span"), element("span", { className: "sub" }), element("span", { className: "sub" }));
      row.addEventListener("click", () => select(Number(row.dataset.place)));
      spacer.append(row);
      pool[i] = row;
    }
    return pool[i];
  }

  function drawList() {
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - SPARE);
    const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + SPARE);
    for (let i = first; i < last; i++) {
      const sample = shown[i], row = rowOf(i - first), [id, outcome, about, cause] = row.children;
      row.hidden = false;
      row.id = `row-${i}`;
      row.dataset.place = i;
      row.style.transform = `translateY(${i * ROW}px)`;
      row.setAttribute("aria-selected", i === place);
      row.setAttribute("aria-posinset", i + 1);
      row.setAttribute("aria-setsize", shown.length);
      id.textContent = idOf(sample);
      outcome.replaceChildren(tag(value("outcome", sample), true));
      about.textContent = ["model", "condition", "repeat"].filter(many).map((name) => value(name, sample))
        .concat(value("path", sample)).join(" \u00b7 ");
      const why = value("attribution", sample);
      cause.replaceChildren(...(["solved", "not attributed"].includes(why) ? [] : [swatch(why), why]));
    }
    for (let i = Math.max(0, last - first); i < pool.length; i++) pool[i].hidden = true;
  }

  function select(next) {
    place = shown.length ? Math.min(Math.max(next, 0), shown.length - 1) : -1;
    const top = place * ROW;
    if (top < list.scrollTop) list.scrollTop = top;
    if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
    drawList();
    if (place >= 0) list.setAttribute("aria-activedescendant", `row-${place}`);
    else list.removeAttribute("aria-activedescendant");
    show(shown[place]);
  }

  // ---- one answer -----------------------------------------------------------------------------------------------

  let now = null; // the answer that is shown
  let step = 0;
  let timer = 0;
  let addressTimer = 0;

  /** A world as the boards draw it: its tiles after every legal action, and the cells of the way. */
  function world(picture, route, marks) {
    const moments = [unpack(picture.cells)];
    for (const change of route.changes ? route.changes.split(" ") : []) {
      const cells = moments[moments.length - 1].slice(), pairs = unpack(change);
      for (let i = 0; i < pairs.length; i += 2) cells[pairs[i]] = pairs[i + 1];
      moments.push(cells);
    }
    return { ...route, size: picture.size, sheet: data.sheets[picture.sheet], moments, path: unpack(route.path), marks: unpack(marks) };
  }

  function show(number) {
    clearTimeout(addressTimer);
    pause();
    $("detail").hidden = number === undefined;
    now = null;
    if (number === undefined) return;
    const sample = JSON.parse(sampleLines[number]), episode = JSON.parse(episodeLines[data.owners[number]]);
    const { believed } = sample, same = sample.note === "same";
    now = {
      plan: [...unpack(sample.plan || "")].map((i) => data.actions[i]),
      true: world(episode, sample.route, sample.missing.cells),
      believed: believed ? world(believed, believed.route, sample.false.cells) : same ? world(episode, sample.route, "") : null,
      shortest: world(episode, episode.route, ""),
    };
    $("name").textContent = idOf(number);
    const cause = value("attribution", number);
    $("badges").replaceChildren(
      tag(value("outcome", number), true),
      ...(["solved", "not attributed"].includes(cause) ? [] : [tag(cause, true)]),
      ...["model", "condition", "repeat"].filter((name) => name === "condition" || many(name)).map((name) => tag(value(name, number))),
      tag(value("path", number)),
      tag(`shortest plan: ${episode.plan.length}`),
      tag(sample.plan === null ? "no plan" : `this plan: ${sample.actions}`),
    );
    $("picture-note").textContent = episode.picture || "";
    $("picture-note").hidden = !episode.picture;
    $("believed-note").textContent = same || believed ? "" : sample.note;
    $("believed-note").hidden = same || Boolean(believed);
    $("believed-board").hidden = !now.believed;
    $("believed-same").hidden = !same;
    $("player").hidden = sample.plan === null;
    $("slider").max = now.plan.length;
    $("plan").replaceChildren(...now.plan.map((action, i) => {
      const button = element("button", { title: `${i + 1}: ${action}` }, ARROWS[action] || action);
      button.addEventListener("click", () => go(i + 1));
      return element("li", {}, button);
    }));
    const hidden = sample.actions - now.plan.length;
    if (hidden > 0) $("plan").append(element("li", { className: "note" }, `and ${hidden} more`));
    showFacts(sample);
    $("about-text").textContent = [
      sample.error && `request failed: ${sample.error}`,
      `ended by ${sample.finish}`,
      sample.tokens !== null && `${sample.tokens} tokens`,
      sample.seconds !== null && `${sample.seconds.toFixed(2)} s`,
    ].filter(Boolean).join(" \u00b7 ");
    $("text").textContent = sample.text;
    $("text").scrollTop = 0;
    go(0);
    addressTimer = setTimeout(() => history.replaceState(null, "", `#${encodeURI(key(number))}`), 400);
  }

  function showFacts(sample) {
    const box = $("facts");
    box.replaceChildren();
    if (!sample.facts) return;
    const [right, stated, all] = sample.facts;
    box.append(element("p", {}, `${right} of ${all} facts right; ${stated - right} stated that are false.`));
    for (const [title, facts] of [["Stated, but false", sample.false], ["True, but not stated", sample.missing]]) {
      if (!facts.text.length) continue;
      const items = facts.text.map((text) => element("li", {}, element("code", {}, text)));
      if (facts.more) items.push(element("li", { className: "note" }, `and ${facts.more} more`));
      box.append(element("div", {}, element("h4", {}, title), element("ul", {}, ...items)));
    }
  }

  // ---- playing a plan -------------------------------------------------------------------------------------------

  function go(next) {
    if (!now) return;
    step = Math.min(Math.max(next, 0), now.plan.length);
    $("slider").value = step;
    $("step").textContent = `step ${step} of ${now.plan.length}`;
    const { path, illegal } = now.true, legal = path.length - 1;
    $("plan").querySelectorAll("button").forEach((button, i) => {
      button.className = i < legal ? (i < step ? "done" : "") : illegal && i === legal ? "illegal" : "unused";
      if (i === step - 1) button.setAttribute("aria-current", "step");
      else button.removeAttribute("aria-current");
    });
    drawBoards();
  }

  function end(shownWorld, output) {
    const legal = shownWorld.path.length - 1, { illegal, solved } = shownWorld;
    let text = "", kind = "";
    if (illegal && step > legal) [text, kind] = [`illegal at action ${legal + 1}: ${illegal}`, "illegal"];
    else if (solved && step >= legal) [text, kind] = [`solved after ${legal} actions`, "solved"];
    else if (step === now.plan.length && step > 0) text = "ends short of the goal";
    output.textContent = text;
    output.dataset.value = kind;
  }

  function drawBoards() {
    if (!now) return;
    board($("true-board"), now.true, $("show-shortest").checked ? now.shortest : null);
    end(now.true, $("true-end"));
    $("believed-end").textContent = "";
    if (!now.believed) return;
    board($("believed-board"), now.believed, null);
    end(now.believed, $("believed-end"));
  }

  const ticking = () => timer !== 0;
  function pause() {
    clearInterval(timer);
    timer = 0;
    $("play").textContent = "play";
  }
  function play() {
    if (!now || !now.plan.length) return;
    if (ticking()) return pause();
    if (step === now.plan.length) go(0);
    $("play").textContent = "pause";
    timer = setInterval(() => {
      go(step + 1);
      if (step === now.plan.length) pause();
    }, BEAT);
  }
  const move = (by) => { pause(); go(step + by); };

  // ---- pictures -------------------------------------------------------------------------------------------------

  const stage = document.createElement("canvas");

  function tiles(sheet) {
    if (!sheet.loaded) {
      sheet.loaded = new Image();
      sheet.loaded.addEventListener("load", drawBoards);
      sheet.loaded.src = sheet.image;
    }
    return sheet.loaded;
  }

  function board(canvas, shownWorld, shortest) {
    const { size, sheet, moments, marks } = shownWorld, image = tiles(sheet);
    const side = Math.max(64, Math.round(canvas.clientWidth * devicePixelRatio));
    canvas.width = canvas.height = side;
    if (!image.complete) return; // its load event draws again
    const pen = canvas.getContext("2d"), cell = side / size, { pixels } = sheet;
    stage.width = stage.height = size * pixels; // put together first and scaled as a whole, so that no seams show
    const stagePen = stage.getContext("2d");
    moments[Math.min(step, moments.length - 1)].forEach((number, i) => {
      stagePen.drawImage(image, 0, number * pixels, pixels, pixels,
        (i % size) * pixels, Math.floor(i / size) * pixels, pixels, pixels);
    });
    pen.imageSmoothingQuality = "high";
    pen.drawImage(stage, 0, 0, side, side);
    if ($("show-marks").checked) marks.forEach((i) => mark(pen, cell, i % size, Math.floor(i / size)));
    if (shortest) {
      pen.translate(cell / 9, cell / 9); // beside the plan of the answer where the two go the same way
      way(pen, cell, size, shortest, shortest.path.length - 1, TEAL, [cell / 6, cell / 9]);
      pen.resetTransform();
    }
    if (now.plan.length) {
      pen.globalAlpha = 0.5;
      way(pen, cell, size, shownWorld, shownWorld.path.length - 1, MAGENTA, []);
      pen.globalAlpha = 1;
      way(pen, cell, size, shownWorld, Math.min(step, shownWorld.path.length - 1), MAGENTA, []);
      if (shownWorld.illegal) cross(pen, cell, size, shownWorld);
    }
  }

  function mark(pen, cell, x, y) {
    const inset = Math.max(2, cell / 16);
    pen.setLineDash([cell / 7, cell / 12]);
    for (const [colour, width] of [[HALO, inset * 1.6], [ORANGE, inset]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = width;
      pen.strokeRect(x * cell + inset, y * cell + inset, cell - 2 * inset, cell - 2 * inset);
    }
    pen.setLineDash([]);
  }

  const centre = (cell, size, i) => [((i % size) + 0.5) * cell, (Math.floor(i / size) + 0.5) * cell];

  /** A line along the first steps of a route, and a ring for every action that is no move. */
  function way(pen, cell, size, route, steps, colour, dash) {
    const cells = route.path.slice(0, steps + 1), points = [...cells].map((i) => centre(cell, size, i));
    const width = Math.max(2, cell / 14);
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
        pen.arc(x, y, 0.38 * cell, 0, 2 * Math.PI);
        pen.stroke();
      });
    }
  }

  /** A cross where an illegal action stopped the rollout, on the border that a move ran into, and the rule's name. */
  function cross(pen, cell, size, { path, illegal, bump }) {
    const [x, y] = centre(cell, size, path[path.length - 1]);
    const side = size * cell, arm = 0.16 * cell, fit = (v) => Math.min(Math.max(v, arm), side - arm);
    const cx = fit(x + bump[1] * 0.5 * cell), cy = fit(y + bump[0] * 0.5 * cell);
    for (const [ink, extra] of [[HALO, 3], [MAGENTA, 0]]) {
      pen.strokeStyle = ink;
      pen.lineWidth = Math.max(2, cell / 14) + extra;
      pen.beginPath();
      for (const [a, b] of [[-arm, -arm], [-arm, arm]]) {
        pen.moveTo(cx + a, cy + b);
        pen.lineTo(cx - a, cy - b);
      }
      pen.stroke();
    }
    const text = Math.round(Math.max(11 * devicePixelRatio, Math.min(cell / 5, 15 * devicePixelRatio)));
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

  // ---- controls -------------------------------------------------------------------------------------------------

  for (const facet of Object.values(facets)) {
    if (!many(facet.name)) continue;
    const counts = new Map();
    facet.codes.forEach((code) => counts.set(code, (counts.get(code) || 0) + 1));
    const options = facet.values.map((text, i) => element("option", { value: i }, `${text} (${counts.get(i)})`));
    if (["level", "repeat"].includes(facet.name)) options.sort((a, b) => parseInt(a.text, 10) - parseInt(b.text, 10));
    const choice = element("select", { name: facet.name }, element("option", { value: "" }, "all"), ...options);
    choice.addEventListener("change", filter);
    $("filters").insertBefore(element("label", {}, facet.name, choice), $("reset"));
  }
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("filters").addEventListener("reset", () => setTimeout(filter));
  $("search").addEventListener("input", filter);
  list.addEventListener("scroll", () => requestAnimationFrame(drawList), { passive: true });
  $("back").addEventListener("click", () => move(-1));
  $("forward").addEventListener("click", () => move(1));
  $("play").addEventListener("click", play);
  $("slider").addEventListener("input", () => { pause(); go(Number($("slider").value)); });
  $("show-shortest").addEventListener("change", drawBoards);
  $("show-marks").addEventListener("change", drawBoards);
  addEventListener("resize", () => { drawList(); drawBoards(); });

  const keys = {
    j: () => select(place + 1), k: () => select(place - 1), "/": () => $("search").focus(),
  };
  const page = () => Math.floor(list.clientHeight / ROW);
  const keysInside = {
    ArrowDown: keys.j, ArrowUp: keys.k, ArrowLeft: () => move(-1), ArrowRight: () => move(1), " ": play,
    PageDown: () => select(place + page()), PageUp: () => select(place - page()),
    Home: () => select(0), End: () => select(shown.length - 1),
  };
  addEventListener("keydown", (event) => {
    const at = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey || at.closest("input, select, pre")) return;
    const inside = at.closest("#list, #detail") && !(event.key === " " && at.closest("button"));
    const action = keys[event.key] || (inside && keysInside[event.key]);
    if (!action) return;
    event.preventDefault();
    action();
  });

  filter();
  const linked = decodeURI(location.hash.slice(1));
  if (linked) select(Math.max(0, shown.findIndex((sample) => key(sample) === linked)));
  document.documentElement.dataset.ready = Math.round(performance.now());
})();

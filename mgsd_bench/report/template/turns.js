// Episodes that were acted in step by step: what was shown, said and done in every turn, and the distance to go.
const KINDS = {
  u: ["useful", "+"], n: ["neutral", "="], h: ["harmful", "\u2212"], i: ["irreversible", "\u221e"],
  b: ["blocked", "\u00d7"], f: ["fatal", "\u2020"], x: ["done", "\u00b7"], "-": ["unreadable", "?"],
};
const WORST = "fibhxnu-"; // of several actions of one turn the worst is what the turn is called
const EFFECTS = { b: "not possible", f: "ends the episode" };
const SPARK = { high: 84, pad: 9 }; // pixels
const OUT = "\u221e";

/** What each turn's actions were, how many are done after it, and its transcript; null of an answer given at once. */
function actedOut(answer, sample) {
  if (sample.kinds === undefined) return null;
  const kinds = sample.kinds ? sample.kinds.split(" ") : [];
  let count = 0;
  const done = kinds.map((letters) => (count += [...letters].filter((letter) => !"bf-".includes(letter)).length));
  const line = transcriptOf.get(answer);
  return { kinds, done, transcript: line === undefined ? null : JSON.parse(transcriptLines[line]) };
}

const worst = (letters) => [...WORST].find((letter) => letters.includes(letter));
const shownIn = (number) => JSON.parse(shownLines[number]);

/** How many actions there were of each kind, for a model's card. */
function tally({ kinds }, { looped }) {
  const letters = kinds.join("");
  const counts = Object.entries(KINDS).map(([letter, [name]]) => [name, letters.split(letter).length - 1]);
  return [counted(kinds.length, "turn"), ...counts.filter(([, n]) => n).map(([name, n]) => `${n} ${name}`),
    ...(looped ? ["a loop"] : [])].join(", ");
}

/** A button a turn, of its action and its kind; one that does again what was done in the same state is marked. */
function showTurns() {
  const { kinds, transcript } = now.acted;
  let first = 0;
  $("plan").replaceChildren(...kinds.map((letters, i) => {
    const length = letters === "-" ? 0 : letters.length;
    const turn = transcript && transcript.turns[i];
    const actions = turn ? planOf(turn.actions) : now.plan.slice(first, first + length);
    first += length;
    const [name, sign] = KINDS[worst(letters)], again = turn && turn.again;
    const button = element("button", { type: "button" },
      element("span", {}, actions.length ? shortly(actions) : "\u2013"), element("small", {}, again ? `${sign} \u21bb` : sign));
    button.dataset.kind = name;
    if (again) button.dataset.again = "";
    const words = [`turn ${i + 1}`, actions.join(", ") || "nothing that could be read", name,
      ...(again ? [`time ${again[0]} of ${again[1]} in this state`] : [])].join(": ");
    button.title = words;
    button.setAttribute("aria-label", words);
    button.addEventListener("click", () => go(i));
    return element("li", { className: "turn" }, button);
  }));
  const used = Object.values(KINDS).filter(([name]) => kinds.some((letters) => [...letters].some((l) => KINDS[l][0] === name)));
  $("kinds").replaceChildren(...used.map(([name, sign]) => {
    const one = element("span", {}, element("i", { className: "kind" }, sign), ` ${name}`);
    one.firstChild.dataset.kind = name;
    return one;
  }));
  if (transcript && transcript.turns.some((turn) => turn.again)) {
    $("kinds").append(element("span", {}, element("i", { className: "kind" }, "\u21bb"), " the same action in the same state as in another turn"));
  }
  drawSpark();
}

const shortly = (actions) => arrows(actions.slice(0, 4)).join("") + (actions.length > 4 ? "\u2026" : "");

// ---- the distance to go -------------------------------------------------------------------------------------------

const drawn = (tag, attributes, ...children) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};

/** Where a distance stands: x by the number of turns before it, y by the distance, what is out of reach on top. */
function places(toGo) {
  const { high, pad } = SPARK, wide = now.acted.wide, known = toGo.filter((n) => n !== null && n >= 0);
  const most = Math.max(1, ...known), top = toGo.includes(-1) ? pad + 14 : pad;
  const x = (i) => pad + 18 + (i * (wide - 2 * pad - 18)) / Math.max(1, toGo.length - 1);
  const y = (n) => (n < 0 ? pad : high - pad - (n * (high - pad - top)) / most);
  return { x, y, most };
}

function drawSpark() {
  const { transcript } = now.acted, picture = $("spark");
  const known = transcript !== null && transcript.to_go.some((n) => n !== null) && transcript.turns.length > 0;
  $("distance").hidden = !known;
  picture.replaceChildren();
  if (!known) return;
  const { high, pad } = SPARK, wide = now.acted.wide = Math.max(260, picture.clientWidth);
  const toGo = transcript.to_go, { x, y, most } = places(toGo);
  picture.setAttribute("viewBox", `0 0 ${wide} ${high}`);
  picture.append(drawn("rect", { id: "spark-now", y: 0, height: high }));
  for (const n of [0, most, ...(toGo.includes(-1) ? [-1] : [])]) {
    picture.append(drawn("line", { class: "grid", x1: x(0), x2: wide - pad, y1: y(n), y2: y(n) }),
      drawn("text", { x: x(0) - 6, y: y(n) + 4, "text-anchor": "end" }, n < 0 ? OUT : String(n)));
  }
  const line = toGo.map((n, i) => (n === null ? null : `${x(i).toFixed(1)},${y(n).toFixed(1)}`));
  picture.append(drawn("polyline", { points: line.filter(Boolean).join(" ") }));
  now.acted.kinds.forEach((letters, i) => {
    if (toGo[i + 1] === null) return;
    const dot = drawn("circle", { cx: x(i + 1), cy: y(toGo[i + 1]), r: toGo.length > 60 ? 2.5 : 4 });
    dot.dataset.kind = KINDS[worst(letters)][0];
    picture.append(dot);
  });
}

/** Mark the turn of now, from the distance before it to that after it. */
function markSpark() {
  const mark = $("spark-now"), { transcript } = now.acted;
  if (!mark || !transcript) return;
  const { x } = places(transcript.to_go), [before, after] = transcript.to_go.slice(step, step + 2);
  mark.setAttribute("x", x(step));
  mark.setAttribute("width", x(step + 1) - x(step));
  $("distance-now").textContent = before === null || after === null ? ""
    : `\u00b7 in this turn ${[before, after].map((n) => (n < 0 ? "out of reach" : n)).join(" \u2192 ")}`;
}

function redrawSpark() {
  if (!now || !now.acted) return;
  drawSpark();
  markSpark();
}

$("spark").addEventListener("click", (event) => {
  const box = $("spark").getBoundingClientRect();
  const { x } = places(now.acted.transcript.to_go), at = ((event.clientX - box.left) / box.width) * now.acted.wide;
  pause();
  go(Math.floor((at - x(0)) / Math.max(1, x(1) - x(0))));
});

// ---- one turn -----------------------------------------------------------------------------------------------------

function goToTurn() {
  const { kinds, transcript } = now.acted, turn = transcript && transcript.turns[step];
  $("step").textContent = kinds.length ? `turn ${step + 1} of ${kinds.length}` : "";
  $("plan").querySelectorAll("button").forEach((button, i) => {
    if (i === step) button.setAttribute("aria-current", "step");
    else button.removeAttribute("aria-current");
  });
  const again = step > 0 && value("condition", now.answer) === "act-stale" ? ", the first picture again" : "";
  $("seen-when").textContent = kinds.length ? `turn ${step + 1}${again}` : "";
  $("happened").replaceChildren(...(turn ? happened(turn) : []));
  if (turn) showText(turn, `Said in turn ${step + 1}`);
  else $("said").textContent = "Said in the last turn";
  markSpark();
  drawBoards();
}

/** What came of each action of a turn. */
function happened(turn) {
  const letters = [...turn.kinds], actions = planOf(turn.actions), due = (turn.causes || []).slice();
  const lines = actions.map((action, i) => {
    const [name, sign] = KINDS[letters[i]], kind = element("i", { className: "kind" }, `${sign} ${name}`);
    kind.dataset.kind = name;
    const effect = EFFECTS[letters[i]] || "done", cause = "fibh".includes(letters[i]) && due.shift();
    const words = [effect + (effect !== "done" && turn.rule ? ` (${turn.rule})` : ""), ...(cause ? [`due to ${cause}`] : [])];
    return element("p", {}, element("b", {}, `${ARROWS[action] ? `${ARROWS[action]} ` : ""}${action}`), " ", kind, ` ${words.join("; ")}`);
  });
  if (!actions.length) lines.push(element("p", {}, "Nothing could be read; the turn costs a step."));
  if (turn.again) {
    const [time, times] = turn.again;
    lines.push(element("p", { className: "again" }, `\u21bb tried ${times} times in this state, this is time ${time}`));
  }
  return lines;
}

/** What the model was shown in the turn of now. */
function drawSeen() {
  const { transcript } = now.acted, turn = transcript && transcript.turns[step];
  const shown = turn && turn.shown !== undefined ? shownIn(turn.shown) : null, told = shown && shown.text_only;
  const canvas = $("seen-board"), isText = typeof told === "string";
  canvas.hidden = !shown || isText;
  $("seen-text").hidden = !isText;
  $("seen-text").textContent = isText ? told : "";
  $("seen-note").hidden = shown !== null;
  $("seen-note").textContent = turn ? "No picture: the model was shown the first one alone."
    : now.acted.kinds.length ? "The turns of this answer are not in this page; mgsd-bench show replays them."
    : "There is no turn: the first request failed.";
  if (!shown || isText) return;
  const sheet = data.seen[shown.sheet], image = tiles(sheet), side = shown.side * sheet.pixels;
  canvas.width = canvas.height = side;
  if (!image.complete) return; // its load event draws again
  const pen = canvas.getContext("2d");
  unpack(shown.cells).forEach((number, i) => {
    pen.drawImage(image, (number % sheet.columns) * sheet.pixels, Math.floor(number / sheet.columns) * sheet.pixels,
      sheet.pixels, sheet.pixels, (i % shown.side) * sheet.pixels, Math.floor(i / shown.side) * sheet.pixels,
      sheet.pixels, sheet.pixels);
  });
}

function endOfTurn() {
  const output = $("true-end"), last = step === now.last, outcome = value("outcome", now.answer);
  output.textContent = last ? `ends here: ${outcome}` : "";
  output.dataset.value = last ? (outcome === "solved" ? "solved" : "illegal") : "";
}

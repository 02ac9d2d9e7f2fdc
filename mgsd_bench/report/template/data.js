// What the page shows, and small helpers. Whatever a model wrote reaches the page through textContent only.
const MAGENTA = "#dc0078", TEAL = "#0a7f9c", ORANGE = "#e69f00", VERMILLION = "#d55e00", HALO = "#ffffff";
const ARROWS = { left: "\u2190", down: "\u2193", right: "\u2192", up: "\u2191" };
const SIGNS = { solved: "\u2713", wrong: "\u2717", illegal: "!", no_answer: "?", truncated: "\u2026", error: "E",
  fatal: "\u2020", stuck: "\u21bb", out_of_steps: "\u2298" };

const $ = (id) => document.getElementById(id);
const read = (id) => $(id).textContent;
const data = JSON.parse(read("data-index"));
const episodeLines = read("data-episodes").split("\n");
const sampleLines = read("data-samples").split("\n"); // the most unexpected failure first
const linesOf = (id) => ($(id) ? read(id).split("\n") : []); // of what was acted out, there where anything was
const transcriptLines = linesOf("data-transcripts"), shownLines = linesOf("data-shown");
document.querySelectorAll("script[id]").forEach((block) => block.remove());
const transcriptOf = new Map(data.acted.map((answer, i) => [answer, i]));

const unpack = (text) => Uint16Array.from({ length: text.length }, (_, i) => text.charCodeAt(i) - data.first);
const facets = Object.fromEntries(data.facets.map((f) => [f.name, { ...f, codes: unpack(f.codes) }]));
const many = (name) => facets[name].values.length > 1;
const code = (name, answer) => facets[name].codes[answer];
const value = (name, answer) => facets[name].values[code(name, answer)];
const idOf = (answer) => data.ids[data.owners[answer]];
const key = (answer) =>
  [many("model") ? value("model", answer) : "", idOf(answer), value("condition", answer), value("repeat", answer)]
    .filter(Boolean).join("/");

const episodeOf = (answer) => JSON.parse(episodeLines[data.owners[answer]]);
const answerData = (answer) => JSON.parse(sampleLines[answer]);
const TEXT = '"text":'; // within JSON no text can hold these characters: its quotes are escaped
/** What the model wrote, without reading the rest of the line. */
const textOf = (answer) => {
  const line = sampleLines[answer];
  return JSON.parse(line.slice(line.lastIndexOf(TEXT) + TEXT.length, -1));
};

/** Number of the question that an answer is to: answers of several models share it; it counts episode by episode. */
const question = (answer) =>
  (data.owners[answer] * facets.condition.values.length + code("condition", answer)) * facets.repeat.values.length
    + code("repeat", answer);
const answersTo = new Map();
for (let i = 0; i < data.owners.length; i++) {
  const number = question(i), others = answersTo.get(number);
  if (others) others.push(i);
  else answersTo.set(number, [i]);
}
/** All answers to the question of an answer, in the order of the models. */
const beside = (answer) => answersTo.get(question(answer)).slice().sort((a, b) => code("model", a) - code("model", b));

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children); // strings become text nodes
  return made;
}

const tag = (text, coloured) => {
  const sign = coloured && SIGNS[text] ? `${SIGNS[text]} ` : "";
  const made = element("span", { className: "tag" }, sign + text);
  if (coloured) made.dataset.value = text;
  return made;
};

const swatch = (name) => {
  const made = element("i", { className: "swatch" });
  made.dataset.value = name;
  return made;
};

const counted = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
const failsAt = (answer) => {
  const cause = value("attribution", answer);
  return ["solved", "not attributed"].includes(cause) ? "" : cause;
};
const arrows = (plan) => plan.map((action) => ARROWS[action] || action);
const planOf = (packed) => [...unpack(packed || "")].map((i) => data.actions[i]);

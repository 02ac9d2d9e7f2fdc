"use strict";

const $ = (id) => document.getElementById(id);
const SECTIONS = ["wait", "gate", "question", "end"];

let shown = null; // the question that is on the page
let gate = null; // the number of the question that waits behind the gate
let plan = [];
let busy = false; // an answer is on its way
let leaving = false;
const narrow = matchMedia("(max-width: 820px)");

/* ---- talking to the server ---- */

async function post(place, content) {
  const reply = await fetch(place, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content) });
  return reply.ok ? null : (await reply.json()).error;
}

/** Show whatever is new, until everything is answered or the server is gone. */
async function watch() {
  for (let version = -1; ;) {
    let desk;
    try {
      const reply = await fetch(`desk?after=${version}`);
      if (!reply.ok) throw new Error(String(reply.status));
      desk = await reply.json();
    } catch {
      gone();
      return;
    }
    if (desk.stopped) return gone();
    if (desk.version !== version) show(desk);
    version = desk.version;
    if (desk.end) return;
  }
}

function gone() {
  for (const id of SECTIONS) $(id).hidden = true;
  $("stop").hidden = true;
  say(leaving ? "Stopped. What was answered is kept; the same command goes on, with a new address."
    : "The command has ended, or cannot be reached. What was answered is kept; the same command goes on, with a new address.");
}

function say(text) {
  $("alert").textContent = text;
  $("alert").hidden = !text;
}

/* ---- what is shown ---- */

function section(name) {
  for (const id of SECTIONS) $(id).hidden = id !== name;
}

function show(desk) {
  $("bar").max = desk.total || 1;
  $("bar").value = desk.done;
  if (desk.end) return end(desk.end);
  if (desk.number === undefined) return; // the next question is on its way
  const place = `Question ${desk.done + 1} of ${desk.total}`;
  $("place").textContent = document.title = place;
  if (!desk.question) {
    gate = desk.number;
    $("gate-title").textContent = place;
    section("gate");
    $("begin").focus();
  } else if (!shown || desk.question.number !== shown.number) {
    gate = null;
    ask(desk.question);
  }
}

function ask(question) {
  shown = question;
  plan = [];
  busy = false;
  say("");
  const last = question.turns.at(-1), form = question.form;
  if (narrow.matches && $("told").textContent === question.told) $("rules").open = $("told").dataset.again === "true" && $("rules").open;
  $("told").dataset.again = $("told").textContent === question.told;
  $("told").textContent = question.told;
  $("board").hidden = !last.image;
  if (last.image) $("picture").src = last.image;
  $("now").textContent = last.text;
  pastTurns(question.turns.slice(0, -1));
  $("state").hidden = !form.states;
  $("stated").value = form.lines.map((name) => `${name}: `).join("\n");
  $("stated").rows = Math.max(4, form.lines.length + 1);
  $("actions").hidden = !form.buttons.length;
  $("actions").querySelectorAll("button").forEach((button) => button.remove());
  for (const each of form.buttons) $("actions").append(actionButton(each));
  $("plan").hidden = !form.buttons.length || atOnce();
  $("send").hidden = atOnce();
  $("none").hidden = !form.may_be_empty;
  $("form").textContent = form.buttons.length
    ? "Keys and buttons write the answer block for you; the rest of what the instructions say of the form you can leave aside."
    : "What you write is stored as it is, but for labels without a value.";
  list();
  enable();
  section("question");
  $(form.buttons.length ? "asked" : "stated").focus({ preventScroll: true });
}

function pastTurns(turns) {
  $("before").hidden = !turns.length;
  const rows = [];
  for (let i = 0; i < turns.length; i += 2) {
    const row = document.createElement("li"), asked = turns[i], answered = turns[i + 1];
    if (asked.image) row.append(Object.assign(new Image(), { src: asked.image, alt: "the board, as it was then" }));
    if (asked.text) row.append(line(asked.text));
    row.append(line(`You: ${answered.text.replace(/^<answer>(.*)<\/answer>$/, "$1") || "–"}`, "yours"));
    rows.push(row);
  }
  $("past").replaceChildren(...rows);
}

function line(text, name = "") {
  return Object.assign(document.createElement("p"), { textContent: text, className: name });
}

function actionButton(each) {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: each.label });
  button.addEventListener("click", (event) => {
    choose(each);
    if (event.detail) $("asked").focus({ preventScroll: true }); // of a pointer: else Enter would choose it again
  });
  for (const key of each.keys) button.append(Object.assign(document.createElement("kbd"), { textContent: keyName(key) }));
  return button;
}

const ARROWS = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓" };
const keyName = (key) => ARROWS[key] || key.toUpperCase();

/** Whether an action is sent the moment that it is chosen. */
const atOnce = () => shown.form.most === 1 && !shown.form.states;

const full = () => shown.form.most !== null && plan.length >= shown.form.most;

function list() {
  $("chosen").replaceChildren(...plan.map((each) => Object.assign(document.createElement("li"), { textContent: each.written, title: each.label })));
  const most = shown.form.most === null ? "" : ` of at most ${shown.form.most}`;
  $("count").textContent = plan.length ? `Your plan: ${plan.length}${most}, last ${plan.at(-1).label}` : `Your plan${most}: empty`;
}

function enable() {
  const empty = !plan.length;
  $("actions").disabled = busy || full();
  $("undo").disabled = $("clear").disabled = busy || empty;
  $("submit").disabled = busy || (empty && shown.form.buttons.length > 0);
  $("none").disabled = busy;
}

function end(found) {
  $("place").textContent = "Done";
  $("stop").hidden = true;
  $("end-title").textContent = `All ${found.answers} questions are answered`;
  $("run").textContent = found.run;
  $("report").textContent = `mgsd-bench report ${found.run}`;
  $("scores").replaceChildren(...found.rows.map((row) => {
    const cells = document.createElement("tr");
    cells.append(Object.assign(document.createElement("th"), { scope: "row", textContent: row.condition }));
    for (const text of [row.name, String(row.n)]) cells.append(Object.assign(document.createElement("td"), { textContent: text }));
    for (const [value, low, high] of [row.solved, row.optimal]) {
      const cell = Object.assign(document.createElement("td"), { textContent: percent(value) });
      cell.append(Object.assign(document.createElement("small"), { textContent: `${percent(low)} to ${percent(high)}` }));
      cells.append(cell);
    }
    return cells;
  }));
  say("");
  section("end");
  $("end-title").focus();
}

const percent = (share) => (100 * share).toFixed(1);

/* ---- what a person does ---- */

function choose(each) {
  if (busy || full()) return;
  plan.push(each);
  list();
  enable();
  if (atOnce()) trying(send)();
}

function undo() {
  if (busy || !plan.length) return;
  plan.pop();
  list();
  enable();
}

async function send() {
  busy = true;
  enable();
  const error = await post("answer", { number: shown.number, actions: plan.map((each) => each.action), stated: $("stated").value });
  if (error) {
    busy = false;
    if (atOnce()) plan = [];
    list();
    enable();
    say(`Not sent: ${error}.`);
  }
}

async function begin() {
  if (gate === null) return;
  const number = gate;
  gate = null;
  await post("begin", { number });
}

/** Do what may fail because the server is gone, which is then said. */
const trying = (what) => async (...given) => {
  try {
    await what(...given);
  } catch {
    gone();
  }
};

/** Pixels stay sharp where they are enlarged; where they are not, thin lines must not get lost. */
function sharpen() {
  const picture = $("picture");
  picture.classList.toggle("enlarged", picture.clientWidth * devicePixelRatio >= picture.naturalWidth);
}

$("picture").addEventListener("load", sharpen);
addEventListener("resize", sharpen);
$("begin").addEventListener("click", trying(begin));
$("undo").addEventListener("click", undo);
$("clear").addEventListener("click", () => {
  plan = [];
  list();
  enable();
});
$("answer").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!$("submit").disabled) trying(send)();
});
$("none").addEventListener("click", () => {
  if (!confirm("Send no answer to this question? It then counts as not solved.")) return;
  plan = [];
  $("stated").value = "";
  trying(send)();
});
$("stop").addEventListener("click", trying(async () => {
  leaving = true;
  await post("stop", {});
}));

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const at = event.target;
  if (gate !== null && event.key === "Enter" && !at.matches("button")) trying(begin)();
  if ($("question").hidden) return;
  if (at.matches("textarea")) return;
  const each = shown.form.buttons.find((one) => one.keys.includes(event.key.length === 1 ? event.key.toLowerCase() : event.key));
  if (each) {
    event.preventDefault(); // of the arrows, which would scroll
    if (!(event.repeat && atOnce())) choose(each);
  } else if (event.key === "Backspace" && !$("plan").hidden) {
    event.preventDefault();
    undo();
  } else if (event.key === "Enter" && !at.matches("button, summary") && !$("send").hidden && !$("submit").disabled) {
    event.preventDefault();
    trying(send)();
  }
});

watch();

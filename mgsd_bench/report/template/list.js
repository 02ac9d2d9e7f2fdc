// The list: a row a question. Only the rows that can be seen are in the document.
const ROW = 46; // pixels, as in the style sheet
const SPARE = 6; // rows drawn beyond either end of what can be seen
const MOST_SIGNS = 10; // of more models only the number that solved it is shown

const list = $("list"), spacer = $("spacer");
let passing = []; // numbers of the answers that pass the filters
let shown = []; // of each question with such answers the first of them
let place = -1; // of the selected one within them
const pool = [];
const withMarks = many("model");

function filter() {
  const words = $("search").value.trim().toLowerCase();
  const wanted = selects().filter((box) => box.value !== "").map((box) => [facets[box.name].codes, Number(box.value)]);
  const chosen = place < 0 ? -1 : question(shown[place]);
  const named = data.ids.map((id) => id.toLowerCase().includes(words));
  const says = (answer) => named[data.owners[answer]] || textOf(answer).toLowerCase().includes(words);
  passing = [];
  const heads = new Map();
  for (let i = 0; i < data.owners.length; i++) {
    if (!wanted.every(([codes, code]) => codes[i] === code) || !says(i)) continue;
    passing.push(i);
    const number = question(i);
    if (!heads.has(number)) heads.set(number, i);
  }
  const numbers = [...heads.keys()];
  if ($("order").value === "episode") numbers.sort((a, b) => a - b);
  shown = numbers.map((number) => heads.get(number));
  $("count").textContent = `${passing.length.toLocaleString("en")} of ${counted(data.owners.length, "answer")}`
    + (withMarks ? `, to ${counted(shown.length, "question")}` : "");
  $("none").hidden = shown.length > 0;
  $("download").disabled = !passing.length;
  spacer.style.height = `${shown.length * ROW}px`;
  select(Math.max(0, numbers.indexOf(chosen)));
}

function rowOf(i) {
  if (!pool[i]) {
    const row = element("div", { className: "row" });
    row.setAttribute("role", "option");
    row.append(element("span", { className: "id" }), element("span"), element("span", { className: "sub" }), element("span", { className: "sub" }));
    row.addEventListener("click", () => { select(Number(row.dataset.place)); keep(true); });
    spacer.append(row);
    pool[i] = row;
  }
  return pool[i];
}

/** What came of every model's answer, a sign each; in words for those who do not see it. */
function signs(answers, head) {
  const solved = answers.filter((answer) => value("outcome", answer) === "solved").length;
  if (answers.length > MOST_SIGNS) return element("span", {}, `${solved} of ${answers.length} solved`);
  const box = element("span", { className: "signs" }, ...answers.map((answer) => {
    const outcome = value("outcome", answer);
    const sign = element("i", { title: `${value("model", answer)}: ${outcome}` }, SIGNS[outcome] || "\u00b7");
    sign.dataset.value = outcome;
    if (answer === head) sign.dataset.head = ""; // the one that is shown in full when the row is chosen
    return sign;
  }));
  box.setAttribute("role", "img");
  box.setAttribute("aria-label", answers.map((answer) => `${value("model", answer)} ${value("outcome", answer)}`).join(", "));
  return box;
}

function drawList() {
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - SPARE);
  const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + SPARE);
  for (let i = first; i < last; i++) {
    const answer = shown[i], row = rowOf(i - first), [id, outcome, about, cause] = row.children;
    row.hidden = false;
    row.id = `row-${i}`;
    row.dataset.place = i;
    row.style.transform = `translateY(${i * ROW}px)`;
    row.setAttribute("aria-selected", i === place);
    row.setAttribute("aria-posinset", i + 1);
    row.setAttribute("aria-setsize", shown.length);
    id.textContent = idOf(answer);
    outcome.replaceChildren(withMarks ? signs(beside(answer), answer) : tag(value("outcome", answer), true));
    about.textContent = ["condition", "repeat"].filter(many).map((name) => value(name, answer))
      .concat(value("path", answer), counted(episodeOf(answer).plan.length, "action")).join(" \u00b7 ");
    const why = failsAt(answer);
    cause.replaceChildren(...(why && !withMarks ? [swatch(why), why] : []));
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

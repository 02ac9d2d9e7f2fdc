// One question: every model's answer side by side, and one of them in full.
const BEAT = 450; // milliseconds a step when playing
const MOST_SHOWN = 40; // actions of a plan beside the others; in full there are all

let now = null; // the answer that is shown in full
let step = 0;
let timer = 0;

function show(answer) {
  pause();
  $("detail").hidden = answer === undefined;
  now = null;
  if (answer === undefined) return keep(false);
  const sample = answerData(answer), episode = episodeOf(answer);
  const { believed } = sample, same = sample.note === "same";
  now = {
    answer,
    plan: planOf(sample.plan),
    true: world(episode, sample.route),
    believed: believed ? world(believed, believed.route) : same ? world(episode, sample.route) : null,
    shortest: world(episode, episode.route),
    missed: unpack(sample.missing.cells),
    invented: unpack(sample.false.cells),
    acted: actedOut(answer, sample),
    cards: [],
  };
  now.last = now.acted ? Math.max(0, now.acted.kinds.length - 1) : now.plan.length;
  $("name").textContent = idOf(answer);
  const cause = failsAt(answer);
  $("badges").replaceChildren(
    ...(withMarks ? [] : [tag(value("outcome", answer), true), ...(cause ? [tag(cause, true)] : [])]),
    ...["condition", "repeat"].filter((name) => name === "condition" || many(name)).map((name) => tag(value(name, answer))),
    tag(value("path", answer)),
    tag(`shortest plan: ${episode.plan.length}`),
    ...(withMarks || now.acted ? [] : [tag(sample.plan === null ? "no plan" : `this plan: ${sample.actions}`)]),
    ...(now.acted ? [tag(counted(now.acted.kinds.length, "turn")), ...(sample.looped ? [tag("\u21bb loop")] : [])] : []),
  );
  showModels(answer, episode);
  $("picture-note").textContent = episode.picture || "";
  $("picture-note").hidden = !episode.picture;
  $("believed-note").textContent = same || believed ? "" : sample.note;
  $("believed-note").hidden = same || Boolean(believed);
  $("believed-board").hidden = !now.believed;
  $("believed-same").hidden = !same;
  $("player").hidden = now.acted ? !now.acted.kinds.length : sample.plan === null;
  $("slider").max = now.last;
  if (now.acted) showTurns();
  else showPlan(sample.actions);
  arrange(Boolean(now.acted));
  showFacts(sample);
  showText(sample, "Answer");
  showPrompt(answer);
  go(0);
  keep(false);
}

/** What is said of one turn stands beside its pictures, what is said of an answer below its plan and facts. */
function arrange(acted) {
  for (const id of ["seen", "kinds", "happened"]) $(id).hidden = !acted;
  if (!acted) $("distance").hidden = true;
  document.querySelectorAll("#believed, .of-facts").forEach((it) => { it.hidden = acted; });
  $("true-name").textContent = acted ? "True state after it" : "True state";
  $("plan-key").textContent = acted ? "way, of actions that were done" : "plan of the answer";
  $("detail").classList.toggle("acted", acted);
  $(acted ? "happened" : "facts").after($("said"), $("about-text"), $("text"));
}

function showPlan(actions) {
  $("plan").replaceChildren(...now.plan.map((action, i) => {
    const button = element("button", { type: "button", title: `${i + 1}: ${action}` }, ARROWS[action] || action);
    button.setAttribute("aria-label", `${i + 1}: ${action}`);
    button.addEventListener("click", () => go(i + 1));
    return element("li", {}, button);
  }));
  const hidden = actions - now.plan.length;
  if (hidden > 0) $("plan").append(element("li", { className: "note" }, `and ${hidden} more`));
}

/** What was written, and how it ended; of an answer, or of one turn of it. */
function showText(said, title) {
  $("said").textContent = title;
  $("about-text").textContent = [
    said.error && `request failed: ${said.error}`,
    `ended by ${said.finish}`,
    said.tokens !== undefined && `${said.tokens} tokens`,
    said.seconds !== undefined && `${said.seconds.toFixed(2)} s`,
  ].filter(Boolean).join(" \u00b7 ");
  $("text").textContent = said.text;
  $("text").scrollTop = 0;
}

/** The answers of all models: outcome, picture with the plan, facts and plan; the one in full is marked. */
function showModels(answer, episode) {
  const answers = withMarks ? beside(answer) : [];
  $("models").hidden = $("whose").hidden = !withMarks;
  $("whose").textContent = `${value("model", answer)} in full`;
  now.cards = answers.map((other) => modelCard(other, episode, other === answer));
  $("models").replaceChildren(...now.cards.map((card) => card.box));
}

function modelCard(answer, episode, chosen) {
  const sample = answerData(answer), name = value("model", answer), plan = planOf(sample.plan), cause = failsAt(answer);
  const acted = actedOut(answer, sample);
  const canvas = element("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `the plan of ${name} in the true state: ${value("outcome", answer)}`);
  const number = facets.model.values.indexOf(name) + 1;
  const pick = element("button", { type: "button", className: "pick", title: "show this answer in full" },
    element("b", {}, `${number} `), name);
  pick.setAttribute("aria-pressed", chosen);
  const words = sample.plan === null ? "no plan"
    : arrows(plan.slice(0, MOST_SHOWN)).join(" ") + (plan.length > MOST_SHOWN ? " \u2026" : "") || "an empty plan";
  const way = element("p", { className: "way" }, words);
  if (plan.length) way.setAttribute("aria-label", plan.join(", "));
  const [right, stated, all] = sample.facts || [];
  const facts = acted ? tally(acted, sample)
    : sample.facts ? `${right} of ${all} facts stated, ${stated - right} false` : "state not asked for";
  const tags = [tag(value("outcome", answer), true), ...(cause ? [tag(cause, true)] : [])];
  const box = element("article", { className: "model" }, pick, canvas, element("p", { className: "tags" }, ...tags), way,
    element("p", { className: "note" }, facts));
  if (chosen) box.dataset.chosen = "";
  box.addEventListener("click", () => { show(answer); keep(true); });
  return {
    box, canvas, acted, world: world(episode, sample.route), plan: plan.length > 0,
    missed: unpack(sample.missing.cells),
    // of a state of another size no cell of this picture is meant
    invented: sample.believed && sample.believed.size !== episode.size ? [] : unpack(sample.false.cells),
  };
}

/** Show the answer of the model with this number. */
function pickModel(number) {
  const answer = now && beside(now.answer).find((other) => code("model", other) === number);
  if (answer !== undefined && answer !== null) show(answer);
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

function showPrompt(answer) {
  const asked = data.asked[value("model", answer)] || {};
  const number = asked[`${value("task", answer)}/${value("condition", answer)}`];
  const text = number === undefined ? "" : data.prompts[number], acted = now.acted !== null;
  $("prompt-text").textContent = text;
  $("prompt-text").hidden = !text;
  $("prompt-note").textContent = !text ? "Not recorded: the run's run.json holds no prompt texts."
    : text.includes("{state}") ? "{state} stands for the state as text."
    : acted ? "The first turn. What was shown in it, and in every other one, is above; {protocol} tells how turns are taken."
    : "The picture follows the text.";
}

// ---- playing a plan ---------------------------------------------------------------------------------------------

function go(next) {
  if (!now) return;
  step = Math.min(Math.max(next, 0), now.last);
  $("slider").value = step;
  if (now.acted) return goToTurn();
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
  const marks = $("show-marks").checked, plan = now.plan.length > 0;
  const shortest = $("show-shortest").checked ? now.shortest : null;
  const moment = (acted) => (acted ? acted.done[Math.min(step, acted.done.length - 1)] || 0 : step);
  const before = (acted) => acted !== null && step < acted.kinds.length - 1;
  if (now.acted) drawSeen();
  board($("true-board"), now.true, moment(now.acted), {
    plan, missed: marks ? now.missed : [], invented: [], shortest, before: before(now.acted),
  });
  if (now.acted) endOfTurn();
  else end(now.true, $("true-end"));
  $("believed-end").textContent = "";
  if (now.believed) {
    board($("believed-board"), now.believed, step, { plan, missed: [], invented: marks ? now.invented : [] });
    end(now.believed, $("believed-end"));
  }
  for (const card of now.cards) {
    board(card.canvas, card.world, card.acted ? moment(card.acted) : Infinity, {
      plan: card.plan, missed: marks ? card.missed : [], invented: marks ? card.invented : [], shortest,
      before: before(card.acted),
    });
  }
}

const ticking = () => timer !== 0;
function pause() {
  clearInterval(timer);
  timer = 0;
  $("play").textContent = "play";
}
function play() {
  if (!now || !now.last) return;
  if (ticking()) return pause();
  if (step === now.last) go(0);
  $("play").textContent = "pause";
  timer = setInterval(() => {
    go(step + 1);
    if (step === now.last) pause();
  }, now.acted ? 2 * BEAT : BEAT);
}
const move = (by) => { pause(); go(step + by); };

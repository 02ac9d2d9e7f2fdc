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
    cards: [],
  };
  $("name").textContent = idOf(answer);
  const cause = failsAt(answer);
  $("badges").replaceChildren(
    ...(withMarks ? [] : [tag(value("outcome", answer), true), ...(cause ? [tag(cause, true)] : [])]),
    ...["condition", "repeat"].filter((name) => name === "condition" || many(name)).map((name) => tag(value(name, answer))),
    tag(value("path", answer)),
    tag(`shortest plan: ${episode.plan.length}`),
    ...(withMarks ? [] : [tag(sample.plan === null ? "no plan" : `this plan: ${sample.actions}`)]),
  );
  showModels(answer, episode);
  $("picture-note").textContent = episode.picture || "";
  $("picture-note").hidden = !episode.picture;
  $("believed-note").textContent = same || believed ? "" : sample.note;
  $("believed-note").hidden = same || Boolean(believed);
  $("believed-board").hidden = !now.believed;
  $("believed-same").hidden = !same;
  $("player").hidden = sample.plan === null;
  $("slider").max = now.plan.length;
  $("plan").replaceChildren(...now.plan.map((action, i) => {
    const button = element("button", { type: "button", title: `${i + 1}: ${action}` }, ARROWS[action] || action);
    button.setAttribute("aria-label", `${i + 1}: ${action}`);
    button.addEventListener("click", () => go(i + 1));
    return element("li", {}, button);
  }));
  const hidden = sample.actions - now.plan.length;
  if (hidden > 0) $("plan").append(element("li", { className: "note" }, `and ${hidden} more`));
  showFacts(sample);
  $("about-text").textContent = [
    sample.error && `request failed: ${sample.error}`,
    `ended by ${sample.finish}`,
    sample.tokens !== undefined && `${sample.tokens} tokens`,
    sample.seconds !== undefined && `${sample.seconds.toFixed(2)} s`,
  ].filter(Boolean).join(" \u00b7 ");
  $("text").textContent = sample.text;
  $("text").scrollTop = 0;
  showPrompt(answer);
  go(0);
  keep(false);
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
  const facts = sample.facts ? `${right} of ${all} facts stated, ${stated - right} false` : "state not asked for";
  const tags = [tag(value("outcome", answer), true), ...(cause ? [tag(cause, true)] : [])];
  const box = element("article", { className: "model" }, pick, canvas, element("p", { className: "tags" }, ...tags), way,
    element("p", { className: "note" }, facts));
  if (chosen) box.dataset.chosen = "";
  box.addEventListener("click", () => { show(answer); keep(true); });
  return {
    box, canvas, world: world(episode, sample.route), plan: plan.length > 0,
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
  const text = number === undefined ? "" : data.prompts[number];
  $("prompt-text").textContent = text;
  $("prompt-text").hidden = !text;
  $("prompt-note").textContent = !text ? "Not recorded: the run's run.json holds no prompt texts."
    : text.includes("{state}") ? "{state} stands for the state as text."
    : "The picture follows the text.";
}

// ---- playing a plan ---------------------------------------------------------------------------------------------

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
  const marks = $("show-marks").checked, plan = now.plan.length > 0;
  const shortest = $("show-shortest").checked ? now.shortest : null;
  board($("true-board"), now.true, step, { plan, missed: marks ? now.missed : [], invented: [], shortest });
  end(now.true, $("true-end"));
  $("believed-end").textContent = "";
  if (now.believed) {
    board($("believed-board"), now.believed, step, { plan, missed: [], invented: marks ? now.invented : [] });
    end(now.believed, $("believed-end"));
  }
  for (const card of now.cards) {
    board(card.canvas, card.world, Infinity, {
      plan: card.plan, missed: marks ? card.missed : [], invented: marks ? card.invented : [], shortest,
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

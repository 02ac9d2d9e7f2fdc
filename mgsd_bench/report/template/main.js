// Controls and keys, and the first look.
for (const facet of Object.values(facets)) {
  if (!many(facet.name)) continue;
  const counts = new Map();
  facet.codes.forEach((code) => counts.set(code, (counts.get(code) || 0) + 1));
  const options = facet.values.map((text, i) => element("option", { value: i }, `${text} (${counts.get(i) || 0})`));
  if (["level", "repeat"].includes(facet.name)) options.sort((a, b) => parseInt(a.text, 10) - parseInt(b.text, 10));
  const choice = element("select", { name: facet.name }, element("option", { value: "" }, "all"), ...options);
  choice.addEventListener("change", () => { filter(); keep(true); });
  $("filters").append(element("label", {}, facet.name, choice));
}
$("who").hidden = !withMarks || facets.model.values.length > MOST_SIGNS;
$("who").append("In each row: ", ...facets.model.values.flatMap((name, i) => [element("b", {}, `${i + 1} `), `${name} `]));
$("keys-models").hidden = !withMarks;
$("skip").addEventListener("click", () => list.focus());
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("filters").addEventListener("reset", () => setTimeout(() => { filter(); keep(true); }));
$("search").addEventListener("input", () => { filter(); keep(!typing); typing = true; });
$("search").addEventListener("change", () => { typing = false; });
$("order").addEventListener("change", () => { filter(); select(0); keep(true); });
$("download").addEventListener("click", download);
list.addEventListener("scroll", () => requestAnimationFrame(drawList), { passive: true });
$("back").addEventListener("click", () => move(-1));
$("forward").addEventListener("click", () => move(1));
$("play").addEventListener("click", play);
$("slider").addEventListener("input", () => { pause(); go(Number($("slider").value)); });
$("show-shortest").addEventListener("change", drawBoards);
$("show-marks").addEventListener("change", drawBoards);
addEventListener("resize", () => { drawList(); drawBoards(); redrawSpark(); });
addEventListener("popstate", followAddress);

const keys = {
  j: () => select(place + 1), k: () => select(place - 1), "/": () => $("search").focus(),
};
if (withMarks) for (let i = 0; i < 9; i++) keys[i + 1] = () => pickModel(i);
const page = () => Math.floor(list.clientHeight / ROW);
const keysInside = {
  ArrowDown: keys.j, ArrowUp: keys.k, ArrowLeft: () => move(-1), ArrowRight: () => move(1), " ": play,
  PageDown: () => select(place + page()), PageUp: () => select(place - page()),
  Home: () => select(0), End: () => select(shown.length - 1),
};
addEventListener("keydown", (event) => {
  const at = event.target;
  if (event.ctrlKey || event.metaKey || event.altKey || at.closest("input, select, pre")) {
    if (event.key === "Escape" && at === $("search")) list.focus();
    return;
  }
  const inside = at.closest("#list, #detail") && !(event.key === " " && at.closest("button, summary"));
  const action = keys[event.key] || (inside && keysInside[event.key]);
  if (!action) return;
  event.preventDefault();
  action();
});

followAddress();
document.documentElement.dataset.ready = Math.round(performance.now());

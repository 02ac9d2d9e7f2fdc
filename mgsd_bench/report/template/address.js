// Filters, order and the answer that is shown are kept behind the # of the address, so that a view can be sent on.
let addressTimer = 0;
let following = false; // what the address says is being shown, so that it need not be written
let typing = false; // so that the letters of one search are one step back

const selects = () => [...document.querySelectorAll("#filters select")];

function address() {
  const parts = new URLSearchParams();
  for (const box of selects()) if (box.value !== "") parts.set(box.name, facets[box.name].values[Number(box.value)]);
  const words = $("search").value.trim();
  if (words) parts.set("search", words);
  if ($("order").value) parts.set("order", $("order").value);
  if (now) parts.set("show", key(now.answer));
  return `#${parts.toString().replaceAll("%2F", "/")}`;
}

/** Put what is shown into the address: as a step that the back button takes back, or in the place of the last one. */
function keep(step) {
  clearTimeout(addressTimer);
  if (following || address() === location.hash) return;
  if (step) history.pushState(null, "", address());
  else addressTimer = setTimeout(() => history.replaceState(null, "", address()), 400); // not at every key that is held
}

function decoded(text) {
  try {
    return decodeURI(text);
  } catch {
    return ""; // not written by this page
  }
}

/** Show what the address says; what it does not name is as at first. */
function followAddress() {
  const said = location.hash.slice(1);
  const parts = new URLSearchParams(said.includes("=") ? said : { show: decoded(said) });
  for (const box of selects()) {
    const code = facets[box.name].values.indexOf(parts.get(box.name));
    box.value = code < 0 ? "" : String(code);
  }
  $("search").value = parts.get("search") || "";
  $("order").value = parts.get("order") === "episode" ? "episode" : "";
  following = true;
  filter();
  showLinked(parts.get("show"));
  following = false;
}

function showLinked(linked) {
  const answer = linked ? data.owners.findIndex((_, i) => key(i) === linked) : -1;
  const there = answer < 0 ? -1 : shown.findIndex((head) => question(head) === question(answer));
  if (there < 0) return;
  select(there);
  show(answer);
}

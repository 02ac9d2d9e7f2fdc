// What is shown as a table, made in the page.
const COLUMNS = [
  "model", "task", "level", "episode", "condition", "repeat", "outcome", "attribution", "path", "shortest", "actions",
  "plan", "illegal", "facts right", "facts stated", "facts true", "finish", "tokens", "seconds", "error", "text",
];

/** A cell of CSV; a text that a spreadsheet would take for a formula gets an apostrophe before it. */
function cell(found) {
  if (found === null || found === undefined) return "";
  const text = typeof found === "string" && /^[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]/.test(found) ? `'${found}` : String(found);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csvLine(answer) {
  const sample = answerData(answer), [right, stated, all] = sample.facts || [];
  const names = ["model", "task", "level"].map((name) => value(name, answer));
  const asked = ["condition", "repeat", "outcome", "attribution", "path"].map((name) => value(name, answer));
  return [
    ...names, idOf(answer), ...asked, episodeOf(answer).plan.length, sample.actions,
    sample.plan === null ? null : planOf(sample.plan).join(" "), sample.route.illegal, right, stated, all,
    sample.finish, sample.tokens, sample.seconds, sample.error, sample.text,
  ].map(cell).join(",");
}

function download() {
  const lines = [COLUMNS.join(","), ...passing.map(csvLine)];
  const file = URL.createObjectURL(new Blob([`${lines.join("\n")}\n`], { type: "text/csv" }));
  element("a", { href: file, download: "answers.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(file), 10_000);
}

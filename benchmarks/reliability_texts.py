"""Texts that mean harm in every place a text can come from: what terminals, pages and files make of them.

Writes `reports/reliability/texts.md`. Exits with 1 if one did more than to stand there. Pages need Chromium and its
driver, LaTeX needs pdflatex; without them their rows are left out, and said to be.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support import text_outputs  # noqa: E402
from support.browsing import CHROMIUM, chromium, opened_page  # noqa: E402
from support.forking import Forker  # noqa: E402
from support.survival import publish  # noqa: E402
from support.text_payloads import MARKER, PAYLOADS, texts  # noqa: E402
from support.text_runs import Checked, Written, checks, messages, page, run_commands  # noqa: E402

REPORT = ROOT / "reports" / "reliability" / "texts.md"
PAGES = ("page.html", "other.html", "failed.html")
MEANINGS = {
    "terminal": "what 22 commands show, every second time in colours: no control character that is not our own",
    "message": "what commands say of options, files and folders that hold the text: one documented exit code, the same",
    "page": "reports in Chromium: no dialog, no request, no complaint, and the elements of a report of plain texts",
    "csv": "tables as CSV: no cell that a spreadsheet takes for a formula",
    "latex": "tables as LaTeX, all compiled in one document: nothing is read, written or cut short",
    "markdown": "tables and job summaries, rendered as GitHub does: no link, picture, tag or heading of the text's own",
    "junit": "JUnit XML: the elements of a plain one, and no character that XML has not",
}
INTRODUCTION = f"""\
{len(PAYLOADS)} texts stand in every place of finished runs where a text can stand (names of model, suite, look,
prompts, backend, versions; prompts; ids of episodes; answers, actions, facts, rules, errors), in options, names of
files and folders, and in policies, recipes, tables, cards, answers and test sets, another text in each place and turn.
Every command is run on them. Survived means: the text stands there as a text and does nothing."""


def run(turns: int, folder: Path) -> Iterator[Checked]:
    """Check everything, the texts going round in so many turns."""
    with Forker() as forker:
        words = ["eval", "--backend", "scripted", "--model", "faulty:0.2,0.2,0.2", "--suite", "smoke", "--tasks",
                 "frozenlake,maze", "--levels", "3,4", "--limit", "3", "--condition", "visual,symbolic",
                 "--prompts", "compact"]  # fmt: skip
        ended = forker.run([*words, "--out", str(folder / "finished")], folder / "shown.txt", 600)
        assert ended.code == 0, ended.shown
        plain = run_commands(forker, folder / "finished", folder / "plain", lambda place: MARKER)
        written: dict[str, Written] = {}
        for turn in range(turns):
            name, text = f"turn {turn}", texts(turn * len(PAYLOADS) // turns)
            found = written[name] = run_commands(forker, folder / "finished", folder / f"runs-{turn}", text)
            yield from checks(name, found, plain)
            yield from messages(forker, folder / "finished", folder / f"files-{turn}", turn, text)
    if CHROMIUM and shutil.which("chromedriver"):
        yield from _pages(plain, written, folder)
    if shutil.which("pdflatex"):
        files = [of.folder / name for of in written.values() for name in ("table.tex", "other.tex")]
        wrong = text_outputs.latex(files, folder)
        yield from (
            Checked("latex", str(file), tuple(wrong if number == 0 else ())) for number, file in enumerate(files)
        )


def _pages(plain: Written, written: dict[str, Written], folder: Path) -> Iterator[Checked]:
    with chromium(folder / "profile") as browser:
        wanted = {}
        for file in PAGES:
            problems = list(page(browser, plain.folder / file, opened_page, {}))
            wanted[file] = text_outputs.elements(browser)
            yield Checked("page", f"{MARKER}, {file}", tuple(problems))
        for name, found in written.items():
            for file in PAGES:
                problems = list(page(browser, found.folder / file, opened_page, wanted[file]))
                yield Checked("page", f"{name}, {file}", tuple(problems))


def table(done: Sequence[Checked]) -> str:
    """The report: a row a class."""
    rows = ["# Texts of others", "", INTRODUCTION, "", "| class | what | n | survived |", "| --- | --- | ---: | ---: |"]
    for kind in [*MEANINGS, None]:
        if these := [each for each in done if kind in (None, each.kind)]:
            name, what = (kind, MEANINGS[kind]) if kind else ("**all**", "")
            rows.append(f"| {name} | {what} | {len(these)} | {sum(not each.problems for each in these)} |")
    missing = [kind for kind in MEANINGS if not any(each.kind == kind for each in done)]
    rows += ["", "Made by `python benchmarks/reliability_texts.py`."]
    rows += [f"Not checked, since what it takes is not installed: {', '.join(missing)}."] if missing else []
    lost = [f"- {each.kind}: {each.name}: {'; '.join(each.problems)}" for each in done if each.problems]
    return "\n".join([*rows, *(["", "Not survived:", "", *lost] if lost else []), ""])


def main() -> None:
    """Check every text and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--short", action="store_true", help="one turn; writes nothing")
    parser.add_argument(
        "--turns", type=int, default=len(PAYLOADS), help="how often all is done, the texts going round the places"
    )
    given = parser.parse_args()
    done: list[Checked] = []
    with TemporaryDirectory() as folder:
        for each in run(1 if given.short else given.turns, Path(folder)):
            done.append(each)
            if each.problems:
                print(f"{each.kind}: {each.name}: {'; '.join(each.problems)}", flush=True)
    publish(table(done), given.out or (None if given.short else REPORT))
    sys.exit(any(each.problems for each in done))


if __name__ == "__main__":
    main()

"""Commands that write, and whether what they leave is what they would have left if nothing had disturbed them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree
from typing import Any

from support.forking import Ended, Forker

FEW = ("--suite", "smoke", "--tasks", "maze,minibehaviour", "--levels", "5", "--prompts", "compact")
MANY = ("--suite", "smoke", "--levels", "3,5", "--prompts", "compact")
MODEL = ("--backend", "scripted", "--model", "faulty:0.1,0.2,0.1")
DOCUMENTED = frozenset({0, 2, 3, 5})
"""Exit codes of a command that a file system stops: it may also have been done already."""
LIMIT = 120.0


@dataclass(frozen=True, slots=True)
class Case:
    """A command that writes.

    Attributes:
        kind: its class.
        words: the command; ``{given}`` is the folder of :func:`given`, ``{out}`` a folder of its own.
        before: what of ``{given}`` lies in ``{out}`` when it starts.
    """

    kind: str
    words: tuple[str, ...]
    before: str | None = None

    def command(self, given: Path, out: Path) -> list[str]:
        """Its words for these folders."""
        return [word.format(given=given, out=out) for word in self.words]

    def fresh(self, given: Path, out: Path) -> None:
        """Make ``{out}`` as it is when the command starts."""
        if self.before is None:
            out.mkdir(parents=True)
        else:
            copytree(given / self.before, out)


def cases(questions: tuple[str, ...]) -> tuple[Case, ...]:
    """Every command that writes but training.

    Args:
        questions: what is asked, as options of ``eval``.
    """
    run = ("--out", "{out}/run")
    gated = ("--baseline", "{given}/run", "--policy", "{given}/policy.yaml", "--junit", "{out}/junit.xml")
    save = ("baseline", "save", "{given}/run", "kept", "--dir", "{out}")
    return (
        Case("eval", ("eval", *MODEL, *questions, "--condition", "visual,symbolic", *run)),
        Case("eval act", ("eval", *MODEL, *questions, "--limit", "2", "--condition", "act", *run)),
        Case("score", ("score", "--answers", "{given}/answers.jsonl", *questions, *run)),
        Case("score --rescore", ("score", "--rescore", "{given}/run", *run)),
        Case("verify", ("verify", "{given}/run")),
        Case("gate --model", ("gate", *MODEL, *gated, *run)),
        Case("report html", ("report", "{given}/run", "--out", "{out}/report.html")),
        Case("report md", ("report", "{given}/run", "--out", "{out}/report.md")),
        Case("report csv", ("report", "{given}/run", "--out", "{out}/report.csv")),
        Case("report --figures", ("report", "{given}/run", "--out", "{out}/report.tex", "--figures", "{out}/figures")),
        Case("baseline save", save),
        Case("baseline save --force", (*save, "--force"), "baselines"),
        Case("generate", ("generate", "{out}/episodes", *questions[:-2], "--limit", "1")),
    )


def make_given(forker: Forker, given: Path, questions: tuple[str, ...]) -> None:
    """Make what the commands of :func:`cases` read: a finished run, answers to score, an older baseline, a policy."""
    given.mkdir(parents=True)
    (given / "policy.yaml").write_text("metrics: {e2e: 50, plan_on_gt: 50}\nlimits: {min_episodes: 1}\n")
    other = ["eval", "--backend", "scripted", "--model", "oracle", *questions, "--out", str(given / "other")]
    save = ["baseline", "save", str(given / "other"), "kept", "--dir", str(given / "baselines")]
    for words in (cases(questions)[0].command(given, given), other, save):
        ended = forker.run(words, given / "shown.txt", LIMIT)
        assert ended.code == 0, ended.shown
    rows = [json.loads(line) for line in (given / "run" / "samples.jsonl").read_text().splitlines()]
    texts = [{"episode": row["episode"], "text": row["text"]} for row in rows if row["condition"] == "visual"]
    (given / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in texts))
    (given / "shown.txt").unlink()
    forker.warm(*(case.command(given, given / "warm" / case.kind) for case in cases(questions)))


def stored(root: Path) -> dict[str, object]:
    """All files below a folder, hidden ones too, by name, but for times and for the order of answers."""
    found: dict[str, object] = {}
    for path in sorted(path for path in root.rglob("*") if not path.is_dir()):
        data = path.read_bytes().replace(str(root).encode(), b"ROOT")
        name = str(path.relative_to(root))
        found[name] = _timeless(path.name, data)
    return found


def _timeless(name: str, data: bytes) -> object:
    if name in ("samples.jsonl", "turns.jsonl"):
        return sorted(data.splitlines())
    if name == "run.json":
        record: dict[str, Any] = json.loads(data) if data else {}
        record.get("rescored", {}).pop("at", None)
        return {key: value for key, value in record.items() if key != "sessions"}
    return data


@dataclass(frozen=True, slots=True)
class Expected:
    """What an undisturbed command comes to.

    Attributes:
        files: see :func:`stored`.
        ended: how it ended.
        size: bytes of all its files.
    """

    files: dict[str, object]
    ended: Ended
    size: int


def undisturbed(forker: Forker, case: Case, given: Path, folder: Path, **environment: str) -> Expected:
    """Run a command that nothing disturbs."""
    out = folder / "out"
    case.fresh(given, out)
    ended = forker.run(case.command(given, out), folder / "shown.txt", LIMIT, **environment)
    assert ended.code == 0, ended.shown
    return Expected(stored(out), ended, sum(path.stat().st_size for path in out.rglob("*") if path.is_file()))


def faults_of(ended: Ended, *codes: int | None) -> list[str]:
    """What is wrong with how a disturbed command ended."""
    found = [] if ended.code in (*DOCUMENTED, *codes) else [f"exit code {ended.code}: {ended.shown[-300:].strip()!r}"]
    if "Traceback" in ended.shown:
        found.append(f"a traceback: {ended.shown[-300:]!r}")
    said = [line for line in ended.shown.splitlines() if line.startswith("mgsd-bench: ")]
    if ended.code in (2, 5) and len(said) != 1:
        found.append(f"exit code {ended.code} with {len(said)} lines that say why")
    return found


def faults_after(forker: Forker, case: Case, given: Path, folder: Path, expected: Expected) -> list[str]:
    """What is wrong once the same command has been run again.

    It may be refused where all had been done, and a second time is not asked for.
    """
    out = folder / "out"
    kept = {name: _whole_lines(out / "run" / name) for name in ("samples.jsonl", "turns.jsonl")}
    is_done = stored(out) == expected.files
    again = forker.run(case.command(given, out), folder / "again.txt", LIMIT)
    if again.code != expected.ended.code and not (is_done and again.code == 2):
        return [f"the same command again exits with {again.code}: {again.shown[-300:].strip()!r}"]
    found = stored(out)
    names = sorted(name for name in found.keys() | expected.files.keys() if found.get(name) != expected.files.get(name))
    faults = [f"not as undisturbed: {', '.join(names)}"] if names else []
    if not all(_whole_lines(out / "run" / name).startswith(lines) for name, lines in kept.items()):
        faults.append("answers that were stored are gone")
    return faults


def _whole_lines(path: Path) -> bytes:
    data = path.read_bytes() if path.is_file() else b""
    return data[: data.rfind(b"\n") + 1]

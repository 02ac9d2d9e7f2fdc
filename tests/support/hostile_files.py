"""Files that mean harm, in every place where a command reads or writes one: an attack a function, by name.

Each function gets a :class:`Box`, lays its trap there, and says which command walks into it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

QUESTIONS = ("--suite", "smoke", "--tasks", "frozenlake", "--levels", "3", "--limit", "2", "--prompts", "compact")
SCRIPTED = ("--backend", "scripted", "--model", "faulty:0.1,0.2,0.1")
POLICY = "metrics: {e2e: 50}\nlimits: {min_episodes: 1}\n"


@dataclass(frozen=True, slots=True)
class Box:
    """A folder for one attack.

    Attributes:
        folder: the folder; commands run in it.
        finished: a finished run elsewhere, to be copied.
        tiny: a folder with a checkpoint, to be copied; None where there is none.
    """

    folder: Path
    finished: Path
    tiny: Path | None

    @property
    def outside(self) -> Path:
        """What nobody may touch: two files, an empty one and a folder."""
        return self.folder.parent / f"{self.folder.name}-outside"

    @property
    def harm(self) -> Path:
        """The file that is there once something was carried out that must not be."""
        return self.folder.parent / f"{self.folder.name}-harm"

    def lay_out(self) -> None:
        """Make the folder, and what is outside of it."""
        self.folder.mkdir(parents=True)
        (self.outside / "kept").mkdir(parents=True)
        for name in ("empty", "notes.txt", "kept/notes.txt"):
            (self.outside / name).write_text("" if name == "empty" else "of somebody else\n")

    def run(self, name: str = "run") -> Path:
        """A copy of the finished run."""
        shutil.copytree(self.finished, self.folder / name)
        return self.folder / name

    def file(self, name: str, text: str) -> Path:
        """A new file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def checkpoint(self) -> Path:
        """A copy of the tiny checkpoint."""
        assert self.tiny
        shutil.copytree(self.tiny, self.folder / "model")
        return self.folder / "model"


@dataclass(frozen=True, slots=True)
class FileAttack:
    """An attack: how to lay it out, and the command to run.

    Attributes:
        kind: its class.
        name: what it does.
        prepare: lays it out; gives the words of the command.
        code: the only exit code that will do; any of the documented ones if None.
        said: what has to be said.
        environment: for a command that has to run in a process of its own.
    """

    kind: str
    name: str
    prepare: Callable[[Box], list[str]]
    code: int | None = None
    said: str = ""
    environment: Callable[[Box], dict[str, str]] | None = None


FILE_ATTACKS: dict[str, FileAttack] = {}


def add(
    kind: str,
    name: str,
    prepare: Callable[[Box], list[str]],
    code: int | None = None,
    said: str = "",
    environment: Callable[[Box], dict[str, str]] | None = None,
) -> None:
    """Keep an attack."""
    assert name not in FILE_ATTACKS, name
    FILE_ATTACKS[name] = FileAttack(kind, name, prepare, code, said, environment)


# ---- what stands in place of a file


def _fifo(path: Path, box: Box) -> None:
    os.mkfifo(path)


def _socket(path: Path, box: Box) -> None:
    place = os.open(path.parent, os.O_RDONLY)  # the path itself may be too long for a socket's address
    server = socket.socket(socket.AF_UNIX)
    server.bind(f"/proc/self/fd/{place}/{path.name}")
    server.close()
    os.close(place)


def _sparse(path: Path, box: Box) -> None:
    path.touch()
    os.truncate(path, 100 * 10**9)


def _link_to(target: str) -> Callable[[Path, Box], None]:
    return lambda path, box: path.symlink_to(target.replace("PATH", path.name).replace("OUT", str(box.outside)))


def _content(data: bytes) -> Callable[[Path, Box], None]:
    def put(path: Path, box: Box) -> None:
        path.write_bytes(data)

    return put


DISGUISES: dict[str, tuple[str, Callable[[Path, Box], None]]] = {
    "a pipe": ("device", _fifo),
    "a link to /dev/zero": ("device", _link_to("/dev/zero")),
    "a link to /dev/full": ("device", _link_to("/dev/full")),
    "a link to a terminal": ("device", _link_to("/dev/tty")),
    "a socket": ("device", _socket),
    "a link to a file of the kernel": ("device", _link_to("/proc/self/pagemap")),
    "a folder": ("link", lambda path, box: path.mkdir()),
    "a link to itself": ("link", _link_to("PATH")),
    "a link to nothing": ("link", _link_to("OUT/none")),
    "a link to somebody's file": ("link", _link_to("OUT/notes.txt")),
    "a link to somebody's empty file": ("link", _link_to("OUT/empty")),
    "a link to somebody's folder": ("link", _link_to("OUT/kept")),
    "a file with a hole of 100 GB": ("size", _sparse),
    "a line of 100 MB": ("size", _content(b"x" * 10**8)),
    "NULs": ("size", _content(bytes(10**6))),
    "JSON nested 200,000 deep": ("size", _content(b"[" * 200_000)),
    "nothing": ("size", _content(b"")),
}


def _put(path: Path, box: Box, disguise: Callable[[Path, Box], None]) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    disguise(path, box)


# ---- where a file is read: its place, and the command that reads it


def _of_run(file: str, *words: str) -> Callable[[Box], tuple[Path, list[str]]]:
    def place(box: Box) -> tuple[Path, list[str]]:
        run = box.run()
        return run / file, [str(run) if word == "RUN" else word for word in words]

    return place


def _named(name: str, *words: str) -> Callable[[Box], tuple[Path, list[str]]]:
    """A file that an option names, for commands with a run beside it."""

    def place(box: Box) -> tuple[Path, list[str]]:
        run = str(box.run())
        given = {"RUN": run, "FILE": str(box.folder / name), "TOP": str((box.folder / name).parts[0])}
        return box.folder / name, [given.get(word, word) for word in words]

    return place


def _extended(box: Box) -> tuple[Path, list[str]]:
    top = box.file("top.yaml", "extends: below.yaml\n")
    return box.folder / "below.yaml", ["eval", *SCRIPTED, *QUESTIONS, "--config", str(top), "--out", "new"]


def _prompt(box: Box) -> tuple[Path, list[str]]:
    words = ["eval", *SCRIPTED, *QUESTIONS[:-2], "--prompts", "texts", "--condition", "visual", "--out", "new"]
    return box.folder / "texts" / "frozenlake" / "visual.txt", words


def _of_checkpoint(file: str) -> Callable[[Box], tuple[Path, list[str]]]:
    def place(box: Box) -> tuple[Path, list[str]]:
        model = box.checkpoint()
        return model / file, ["eval", "--backend", "hf", "--model", str(model), *QUESTIONS[:6], "--limit", "1",
                              "--max-tokens", "2", "--out", "new"]  # fmt: skip

    return place


def _external(file: str, *more: str) -> Callable[[Box], tuple[Path, list[str]]]:
    def place(box: Box) -> tuple[Path, list[str]]:
        lakes = box.folder / "data" / "level3"
        for folder in ("table", "img"):
            (lakes / folder).mkdir(parents=True)
        (lakes / "metadata.json").write_text('{"0.png": "RRDD"}')
        (lakes / "table" / "0.txt").write_text(
            "| | c1 | c2 | c3 |\n| r1 | @ | _ | _ |\n| r2 | # | # | _ |\n| r3 | # | # | * |\n"
        )
        words = ["eval", *SCRIPTED, "--suite", "diffthinker-frozenlake", "--data-root", "data", "--out", "new", *more]
        return box.folder / "data" / file, words

    return place


EVAL = ("eval", *SCRIPTED, *QUESTIONS)
GATE = ("gate", "--baseline", "RUN", "--candidate", "RUN")
PLACES: dict[str, Callable[[Box], tuple[Path, list[str]]]] = {
    **{
        f"{file}, {words[0]}": _of_run(file, *words)
        for file in ("run.json", "episodes.jsonl", "samples.jsonl", "metrics.json")
        for words in (
            ("report", "RUN"), ("verify", "RUN"), ("diagnose", "RUN"), (*EVAL, "--out", "RUN"),
            ("baseline", "save", "RUN", "kept", "--dir", "baselines"), ("report", "RUN", "--out", "page.html"),
        )
        if (file, words[0]) != ("metrics.json", "diagnose") and words[-1] != "page.html"
    },
    **{
        f"{file}, report.html": _of_run(file, "report", "RUN", "--out", "page.html")
        for file in ("episodes.jsonl", "samples.jsonl")
    },
    "samples.jsonl, gate": _of_run("samples.jsonl", *GATE),
    "samples.jsonl, score": _of_run("samples.jsonl", "score", "--rescore", "RUN", "--out", "again"),
    "diagnosis.json, diagnose": _of_run("diagnosis.json", "diagnose", "RUN"),
    "verdict.json, gate": _of_run("verdict.json", *GATE),
    "a baseline's record, baseline list": _named("kept/x/run.json", "baseline", "list", "--dir", "kept"),
    "a baseline's record, gate": _named(
        "kept/x/run.json", "gate", "--baseline", "x", "--dir", "kept", "--candidate", "RUN"
    ),
    "a policy, gate": _named("policy.yaml", *GATE, "--policy", "FILE"),
    "a policy, power": _named("policy.yaml", "power", "--discordance", "5", "--suite", "smoke", "--policy", "FILE"),
    "settings, eval": _named("settings.yaml", *EVAL, "--config", "FILE", "--out", "new"),
    "settings that others extend, eval": _extended,
    "a recipe, train": _named("recipe.yaml", "train", "FILE", "--dry-run"),
    "a table, table1": _named("table.yaml", "table1", "--config", "FILE"),
    "answers, score": _named("answers.jsonl", "score", "--answers", "FILE", *QUESTIONS, "--out", "new"),
    "a prompt, eval": _prompt,
    "a test set's file, eval": _external("level3/test.jsonl"),
    "a test set's map, eval": _external("level3/table/0.txt"),
    "a test set's plans, eval": _external("level3/metadata.json"),
    "a test set's picture, eval": _external("level3/img/0.png", "--image", "original"),
}  # fmt: skip
OF_CHECKPOINTS = ("mgsd-bench.yaml", "config.json", "tokenizer.json", "model.safetensors", "chat_template.jinja")
SLOW_PLACES = {f"{file}, eval": _of_checkpoint(file) for file in OF_CHECKPOINTS}
"""Those for which an engine is loaded."""


def _disguised(
    place: Callable[[Box], tuple[Path, list[str]]], disguise: Callable[[Path, Box], None]
) -> Callable[[Box], list[str]]:
    def prepare(box: Box) -> list[str]:
        path, words = place(box)
        _put(path, box, disguise)
        return words

    return prepare


for _place, _find in PLACES.items():
    for _name, (_kind, _disguise) in DISGUISES.items():
        add(_kind, f"{_place}: {_name}", _disguised(_find, _disguise))
for _place, _find in SLOW_PLACES.items():
    for _name in ("a pipe", "a link to /dev/zero", "a file with a hole of 100 GB", "nothing"):
        add("checkpoint", f"{_place}: {_name}", _disguised(_find, DISGUISES[_name][1]))


def snapshot(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Mode, time and content of everything below a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        data = path.read_bytes() if stat.S_ISREG(about.st_mode) else b""
        found[str(path.relative_to(folder))] = (about.st_mode, about.st_mtime_ns, hashlib.sha256(data).hexdigest())
    return found

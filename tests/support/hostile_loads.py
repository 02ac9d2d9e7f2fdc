"""More attacks by files: those that want something to be written elsewhere, or to be carried out."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.hostile_files import EVAL, GATE, POLICY, QUESTIONS, SCRIPTED, Box, add

# ---- paths that lead elsewhere


def _link(name: str, target: str, *words: str) -> Callable[[Box], list[str]]:
    def prepare(box: Box) -> list[str]:
        run = str(box.run())
        path = box.folder / name
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(box.outside / target)
        return [run if word == "RUN" else word for word in words]

    return prepare


def _elsewhere(*words: str) -> Callable[[Box], list[str]]:
    def prepare(box: Box) -> list[str]:
        run, outside = str(box.run()), str(box.outside)
        return [word.replace("RUN", run).replace("OUT", outside) for word in words]

    return prepare


SAVE = ("baseline", "save", "RUN")
add("link", "a baseline's name is a link to a folder", _link("kept/x", "kept", *SAVE, "x", "--dir", "kept", "--force"))
for _name in ("../x", "a/../../x", "OUT/x", "..", ".", "a/b", "-x", "x\n", "x\0", "", "a" * 300):
    add("link", f"a baseline's name is {_name[:12]!r}", _elsewhere(*SAVE, _name, "--dir", "kept", "--force"))
add("link", "a table is a link to a file", _link("table.md", "notes.txt", "report", "RUN", "--out", "table.md"), 0)
add("link", "a page is a link to a file", _link("page.html", "notes.txt", "report", "RUN", "--out", "page.html"), 0)
add("link", "a verdict is a link to a file", _link("v.json", "notes.txt", *GATE, "--json", "v.json"))
add("link", "a JUnit file is a link to a file", _link("junit.xml", "notes.txt", *GATE, "--junit", "junit.xml"))
for _name in ("run.json", "episodes.jsonl", "metrics.json", "diagnosis.json"):
    add(
        "link",
        f"a resumed run's {_name} is a link to a file",
        _link(f"run/{_name}", "notes.txt", *(("diagnose",) if _name[0] == "d" else (*EVAL, "--out")), "RUN"),
    )


def _stage(name: str) -> Callable[[Box], list[str]]:
    def prepare(box: Box) -> list[str]:
        stage = {"method": "sft", "tuning": "full", "batch": 1, "micro_batch": 1, "rows": {"plan": 1}}
        box.file("recipe.yaml", json.dumps({"base": "tiny-base", "stages": {name: stage}}))
        return ["train", "recipe.yaml", "--out", "trained"]

    return prepare


for _name in ("../x", "/tmp/x", "..", "a/b"):
    add("link", f"a stage's name is {_name!r}", _stage(_name), 2, "a stage's name is a folder's name")

# ---- names


def _name_in(option: str, *words: str) -> Callable[[str], Callable[[Box], list[str]]]:
    def of(name: str) -> Callable[[Box], list[str]]:
        def prepare(box: Box) -> list[str]:
            run = str(box.run())
            box.file("policy.yaml", POLICY)
            return [run if word == "RUN" else word for word in words] + [option, name] * bool(option)

        return prepare

    return of


def _pipe(of: Callable[[str], Callable[[Box], list[str]]]) -> Callable[[Box], list[str]]:
    """A pipe of the attack's own: no command gets to write where the machine's devices are."""

    def prepare(box: Box) -> list[str]:
        words = of("pipe")(box)
        os.mkfifo(box.folder / "pipe")
        return words

    return prepare


NAMED: dict[str, Callable[[str], Callable[[Box], list[str]]]] = {
    "a new run": _name_in("--out", *EVAL),
    "settings": _name_in("--config", *EVAL, "--out", "new"),
    "prompts": _name_in("--prompts", "eval", *SCRIPTED, *QUESTIONS[:-2], "--out", "new"),
    "a model": _name_in("--model", "eval", "--backend", "hf", *QUESTIONS, "--out", "new"),
    "a data root": _name_in("--data-root", "eval", *SCRIPTED, "--suite", "paper", "--out", "new"),
    "answers": _name_in("--answers", "score", *QUESTIONS, "--out", "new"),
    "a run to score again": _name_in("--rescore", "score", "--out", "new"),
    "a baseline": _name_in("--baseline", "gate", "--candidate", "RUN"),
    "a candidate": _name_in("--candidate", "gate", "--baseline", "RUN"),
    "a policy": _name_in("--policy", *GATE),
    "a folder of baselines": _name_in("--dir", "baseline", "list"),
    "a folder to save to": _name_in("--dir", *SAVE, "x"),
    "a verdict": _name_in("--json", *GATE),
    "a summary": _name_in("--markdown", *GATE),
    "a JUnit file": _name_in("--junit", *GATE),
    "a report": _name_in("--out", "report", "RUN", "--format", "md"),
    "a page": _name_in("--out", "report", "RUN", "--format", "html"),
    "figures": _name_in("--figures", "report", "RUN", "--format", "md"),
    "a comparison": _name_in("--out", "compare", "RUN", "RUN"),
    "a picture": _name_in("--out", "show", "frozenlake/3/0000"),
    "a power table": _name_in("--out", "power", "--discordance", "5", "--suite", "smoke", "--policy", "policy.yaml"),
}
WORDS = {"a run": ["report"], "a run to verify": ["verify"], "a run to diagnose": ["diagnose"], "a recipe": ["train"]}
for _what, _words in WORDS.items():
    NAMED[_what] = lambda name, words=_words: lambda box: [*words, "--", name]  # type: ignore[misc]
for _what, _of in NAMED.items():
    for _how, _name in {
        "300 letters": "x" * 300, "5,000 letters": "x" * 5000, "a path of 300 folders": "x/" * 300 + "y",
        "a NUL": "a\0b", "a lone surrogate": "a\udcffb", "escape sequences": "\x1b[31mx\x07\u202e",
        "line feeds": "a\nb\r\nc", "a folder of the kernel": "/proc/self/fd",
    }.items():  # fmt: skip
        add("name", f"{_what} called {_how}", _of(_name))
    add("device", f"{_what} is a pipe", _pipe(_of))

# ---- settings that would be code


def _bomb() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    return "\n".join(lines) + "\n"


YAML = {
    "a Python call": "model: !!python/object/apply:os.system ['touch HARM']\n",
    "a Python object": "model: !!python/object/new:subprocess.Popen [['touch', 'HARM']]\n",
    "a Python name": "model: !!python/name:os.system\n",
    "a module": "model: !!python/module:antigravity\n",
    "an unknown tag": "model: !evil {a: 1}\n",
    "aliases of aliases": _bomb(),
    "a circle": "model: &a {b: *a}\n",
    "lists nested 5,000 deep": "model: " + "[" * 5_000,
    "a mapping nested 3,000 deep": "".join(f"{' ' * i}a:\n" for i in range(3_000)),
    "a number of 10,000 digits": f"limit: {'9' * 10_000}\n",
    "a hexadecimal number of 10,000 digits": f"limit: 0x{'f' * 10_000}\n",
    "a number in base 60": f"limit: {':'.join(['59'] * 5_000)}\n",
    "a date": "model: 2020-01-01T00:00:00Z\n",
    "binary data": "model: !!binary '////'\n",
    "a set": "model: !!set {a, b}\n",
    "merged keys": "x: &x {model: a}\n<<: *x\n",
    "two documents": "model: a\n---\nmodel: b\n",
    "a NUL": 'model: "a\0b"\n',
    "escape sequences": 'model: "\\e[31m\\x9b2J\\u202e"\n',
    "an unknown key of escape sequences": '"\\e[31m\\a": 1\n',
    "an extended file elsewhere": "extends: /etc/passwd\n",
    "itself": "extends: FILE\n",
    "1 MB of keys": "".join(f"k{i}: 1\n" for i in range(90_000)),
}


def _yaml(text: str, file: str, *words: str) -> Callable[[Box], list[str]]:
    def prepare(box: Box) -> list[str]:
        run = str(box.run())
        (box.folder / file).parent.mkdir(exist_ok=True)
        box.file(file, text.replace("HARM", str(box.harm)).replace("FILE", Path(file).name))
        if file.startswith("model/"):
            box.file("model/config.json", "{}")
        return [run if word == "RUN" else word for word in words]

    return prepare


READERS = {
    "settings": ("settings.yaml", ("eval", "--backend", "scripted", "--config", "settings.yaml", "--out", "new")),
    "a policy": ("policy.yaml", (*GATE, "--policy", "policy.yaml")),
    "a recipe": ("recipe.yaml", ("train", "recipe.yaml", "--out", "trained")),
    "a table": ("table.yaml", ("table1", "--config", "table.yaml")),
    "a model's card": ("model/mgsd-bench.yaml", ("eval", "--backend", "hf", "--model", "model", "--out", "new")),
}
for _what, (_file, _words) in READERS.items():
    for _how, _text in YAML.items():
        add("yaml", f"{_what}: {_how}", _yaml(_text, _file, *_words), 2)
add("yaml", "an option: a Python call", lambda box: [
    *EVAL, "--out", "new", "--set", f"limit=!!python/object/apply:os.system ['touch {box.harm}']"], 2)  # fmt: skip

# ---- checkpoints that would be code


class _Harm:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.path}'",)


def _asked(model: Path, backend: str = "hf", *more: str) -> list[str]:
    return ["eval", "--backend", backend, "--model", str(model), *QUESTIONS[:6], "--limit", "1", "--max-tokens", "2",
            "--condition", "visual", "--out", "new", *more]  # fmt: skip


def _pickled(name: str, backend: str, *, beside: bool = False) -> Callable[[Box], list[str]]:
    def prepare(box: Box) -> list[str]:
        model = box.checkpoint()
        (model / name).write_bytes(pickle.dumps(_Harm(box.harm)))
        if not beside:
            for path in model.glob("*.safetensors*"):
                path.unlink()
        return _asked(model, backend)

    return prepare


for _name in ("pytorch_model.bin", "consolidated.00.pth", "model.pt", "weights.pkl", "last.ckpt"):
    for _backend in ("hf", "vllm"):
        add("pickle", f"{_name}, {_backend}", _pickled(_name, _backend), 2, "a pickle, which may hold code")
add("pickle", "pytorch_model.bin beside safetensors", _pickled("pytorch_model.bin", "hf", beside=True), 0)


def _base(box: Box) -> list[str]:
    model = box.checkpoint()
    for path in model.glob("*.safetensors*"):
        path.rename(model / "pytorch_model.bin")
    return ["train", "tiny-smoke", "--set", f"base={model}", "--set", "start=null", "--out", "trained"]


add("pickle", "the base of a training", _base, 2)

CODE = "import pathlib\npathlib.Path({!r}).touch()\nclass Own:\n    pass\n"


def _own_code(file: str, *words: str, known: bool = False) -> Callable[[Box], list[str]]:
    """A checkpoint that asks for code of its own in one of its files."""

    def prepare(box: Box) -> list[str]:
        model = box.checkpoint()
        (model / "own.py").write_text(CODE.format(str(box.harm)))
        path = model / file
        config = json.loads(path.read_text()) if path.exists() else {}
        names = ("AutoConfig", "AutoModelForImageTextToText", "AutoTokenizer", "AutoProcessor", "AutoImageProcessor")
        config["auto_map"] = dict.fromkeys(names, "own.Own") | {"AutoTokenizer": ["own.Own", "own.Own"]}
        if file == "config.json" and not known:
            config["model_type"] = "own"
        path.write_text(json.dumps(config))
        return [str(model) if word == "MODEL" else word.replace("MODEL", str(model)) for word in words] or _asked(model)

    return prepare


DRY = ("train", "tiny-smoke", "--set", "base=MODEL", "--set", "start=null")
add("code", "a model of its own", _own_code("config.json"))
add("code", "a model of its own under a known name", _own_code("config.json", known=True))
add("code", "a tokenizer of its own", _own_code("tokenizer_config.json"))
add("code", "a processor of its own", _own_code("preprocessor_config.json"))
add("code", "a model of its own, to be trained", _own_code("config.json", *DRY, "--out", "trained"))
add("code", "a model of its own, to be estimated", _own_code("config.json", *DRY, "--dry-run"))
add("code", "a tokenizer of its own, to be estimated", _own_code("tokenizer_config.json", *DRY, "--dry-run"))
add("code", "a model of its own, to be gated", _own_code("config.json", "gate", "--baseline", "tiny-mgsd", "--dir",
    str(Path(__file__).parents[2] / "baselines" / "gate"), "--model", "MODEL", "--backend", "hf", "--out", "new",
))  # fmt: skip


def _settings_on(box: Box) -> list[str]:
    box.file("settings.yaml", "trust_remote_code: true\n")
    words = _own_code("config.json")(box)
    return [*words, "--config", "settings.yaml"]


add("code", "settings switch its code on", _settings_on, 2, "no file can switch this on")


def _card_on(box: Box) -> list[str]:
    words = _own_code("config.json")(box)
    box.file("model/mgsd-bench.yaml", "trust_remote_code: true\n")
    return words


add("code", "a card switches its code on", _card_on, 2, "card cannot set this")


def _run_on(box: Box) -> list[str]:
    """A baseline that says it was made so."""
    run = box.run()
    record = json.loads((run / "run.json").read_text())
    record["identity"]["trust_remote_code"] = True
    for session in record["sessions"]:
        session["trust_remote_code"] = session["backend"]["trust_remote_code"] = True
    (run / "run.json").write_text(json.dumps(record))
    _own_code("config.json")(box)
    return ["gate", "--baseline", str(run), "--model", "model", "--backend", "hf", "--out", "new"]


add("code", "a baseline switches a model's code on", _run_on)


def _template(box: Box) -> list[str]:
    model = box.checkpoint()
    harm = f"cycler.__init__.__globals__.os.system('touch {box.harm}')"
    (model / "chat_template.jinja").write_text("{{ " + harm + " }}")
    return _asked(model)


add("code", "a chat template with a call", _template)

"""Messages name settings; each front end spells them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import mgsd_baselines
import mgsd_bench
from mgsd_bench.errors import Exit, SettingValue, UserError, command_line, option, python, spell


@pytest.mark.parametrize(
    ("name", "value", "in_python", "on_the_command_line"),
    [
        ("limit", 0, "limit=0", "--limit 0"),
        ("max_tokens", None, "max_tokens", "--max-tokens"),
        ("out", Path("runs/a b"), "out=runs/a b", "--out runs/a b"),
        ("resume", True, "resume=True", "--resume"),
        ("suite", "True", "suite=True", "--suite True"),
        ("conditions", "smell", "conditions=smell", "--condition smell"),
        ("folder", None, "folder", "--dir"),
        ("overrides", "a.b=1", "overrides=a.b=1", "--set a.b=1"),
        ("engine", None, "engine", "-M"),
        ("engine.batch_size", 0, "engine['batch_size']=0", "-M batch_size=0"),
        ("engine.enforce_eager", True, "engine['enforce_eager']=True", "-M enforce_eager=True"),
        ("engine.extra_body", None, "engine['extra_body']", "-M extra_body"),
    ],
)
def test_spellings(name: str, value: object, in_python: str, on_the_command_line: str) -> None:
    text = f"a {option(name, value)}: b"
    assert spell(text, python) == f"a {in_python}: b"
    assert spell(text, command_line) == f"a {on_the_command_line}: b"


def test_an_error_is_one_line_and_knows_its_setting() -> None:
    error = UserError(f"{option('limit', 0)}: must be\n at least 1; or leave out {option('limit')}", Exit.ENGINE)
    assert (str(error), error.option, error.code) == (
        "limit=0: must be at least 1; or leave out limit", "limit", Exit.ENGINE,
    )  # fmt: skip
    assert error.spelled(command_line) == "--limit 0: must be at least 1; or leave out --limit"
    assert UserError(f"{option('out')}: x").option == "out"
    assert UserError(f"a.yaml: {option('out')}: x").option is None


def test_a_message_within_another_keeps_its_settings() -> None:
    inner = UserError(f"{option('engine.dtype', 'x')}: no")
    outer = UserError(f"a.yaml: {inner.message}")

    def shout(name: str, value: SettingValue) -> str:
        return f"<{name} {value}>"

    assert outer.spelled(shout) == "a.yaml: <engine.dtype x>: no"


def test_library_messages_name_no_flags() -> None:
    """A whole command in backticks and another program's flags are none of ours; the front ends may name theirs."""
    found = []
    for package in (mgsd_bench, mgsd_baselines):
        folder = Path(str(package.__file__)).parent
        for path in sorted(folder.rglob("*.py")):
            part = path.relative_to(folder)
            if part.parts[0] in ("cli", "integrations") or part.name in ("errors.py", "provenance.py"):
                continue
            tree = ast.parse(path.read_text(encoding="utf-8"))
            docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                    text = re.sub(r"`[^`]*`|accelerate launch --\w+", "", node.value)
                    if re.search(r"(^|[\s(])(--[a-z]|-[MT] )", text):
                        found.append(f"{path}:{node.lineno}: {node.value}")
    assert not found

"""The command schema."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from mgsd_bench.errors import UserError
from mgsd_bench.plain import say

app = typer.Typer()

_KINDS = {
    "evaluation": "mgsd_bench.evaluation.settings",
    "recipe": "mgsd_baselines.recipe_file",
    "policy": "mgsd_bench.gating.policy_file",
    "suite": "mgsd_bench.suites.suite_file",
    "table": "mgsd_bench.reproduce.config_file",
}


@app.command("schema")
def schema_command(
    kind: Annotated[str, typer.Argument(help=f"What is in the file: {', '.join(_KINDS)}.")],
    out: Annotated[Path | None, typer.Option("--out", help="File to write; shown if left out.")] = None,
) -> None:
    """Write the JSON Schema of a kind of YAML file, with which editors complete and check its keys."""
    from mgsd_bench.cli.options import write
    from mgsd_bench.config.layers import suggest

    if kind not in _KINDS:
        raise UserError(f"schema {kind}: no such kind of file; {suggest(kind, _KINDS)}")
    text = json.dumps(import_module(_KINDS[kind]).schema(), indent=2) + "\n"
    if out:
        write("--out", out, text)
    else:
        say(text, end="")

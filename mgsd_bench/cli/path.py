"""The command path."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from mgsd_bench.errors import UserError
from mgsd_bench.plain import say

app = typer.Typer()

_FOLDERS = {"lmms-eval": "mgsd_bench.integrations.lmms_eval"}


@app.command("path")
def path_command(
    tool: Annotated[str, typer.Argument(help=f"Which tool's files: {', '.join(_FOLDERS)}.")],
) -> None:
    """Print the folder with the files that come with the project for another tool, such as lmms-eval's tasks."""
    from mgsd_bench.config.layers import suggest

    if tool not in _FOLDERS:
        raise UserError(f"path {tool}: nothing comes with the project for it; {suggest(tool, _FOLDERS)}")
    spec = find_spec(_FOLDERS[tool])
    assert spec is not None
    assert spec.origin is not None
    say(str(Path(spec.origin).parent))

"""From logs of inspect_ai to a file that ``mgsd-bench score`` takes: ``python -m mgsd_bench.inspect_answers LOG ...``.

A sample that failed gets no line; ``score`` counts it as an error.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mgsd_bench.errors import UserError, command_line, option
from mgsd_bench.files import write_whole
from mgsd_bench.prompts import CLOSED_LOOP
from mgsd_envs.files import open_regular

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog

_OPTIONS = ("suite", "tasks", "levels", "limit", "prompts", "theme", "data_root", "image")


def convert(paths: list[Path], out: Path) -> list[str]:
    """Write the answers of logs, one for each condition, as JSONL.

    Returns:
        The ``mgsd-bench score`` command, with the options that the logs were made with.

    Raises:
        UserError: inspect_ai is not installed; a log cannot be read, is not of these tasks, has the condition of an
            earlier one or was made with other options; or the file cannot be written.
    """
    if find_spec("inspect_ai") is None:
        raise UserError("inspect_ai is not installed: pip install 'mgsd-bench[inspect]'")
    logs: dict[str, EvalLog] = {}
    for path in paths:
        log, condition = _read(path)
        if condition in logs:
            raise UserError(f"{path}: a second log of the condition {condition}; give one for each")
        if any(_settings(log) != _settings(other) for other in logs.values()):
            raise UserError(f"{path}: made with other options than {paths[0]}; convert it to a file of its own")
        logs[condition] = log
    rows = [row for condition, log in logs.items() for row in _rows(condition, log)]
    try:
        write_whole(out, "".join(json.dumps(row) + "\n" for row in rows))
    except OSError as error:
        raise UserError(f"{option('out', out)}: cannot be written ({error.strerror or error})") from error
    command = ["mgsd-bench", "score", "--answers", str(out), "--condition", ",".join(logs)]
    for name, value in _settings(log).items():
        items = value if isinstance(value, list) else [value]
        command += [f"--{name.replace('_', '-')}", ",".join(str(item) for item in items)]
    return command


def _read(path: Path) -> tuple[EvalLog, str]:
    from inspect_ai.log import read_eval_log

    try:
        open_regular(path).close()
        log = read_eval_log(str(path))
    except Exception as error:  # inspect and its file systems raise what they like
        raise UserError(f"{path}: cannot be read as a log of inspect ({type(error).__name__}: {error})") from error
    match log.eval.metadata:
        case {"condition": str(condition)} if condition in CLOSED_LOOP:
            raise UserError(f"{path}: a log of {condition}, the closed loop; only answers given at once are converted")
        case {"condition": str(condition), "episodes_digest": str()}:
            return log, condition
    raise UserError(f"{path}: a log of {log.eval.task}; only those of the tasks mgsd_bench/... can be converted")


def _settings(log: EvalLog) -> dict[str, Any]:
    """The options of the log's task by name, and the repeats, where they are not what ``score`` takes by default."""
    found = {name: value for name in _OPTIONS if (value := log.eval.task_args.get(name)) is not None}
    return found if log.eval.config.epochs in (None, 1) else {**found, "repeats": log.eval.config.epochs}


def _rows(condition: str, log: EvalLog) -> Iterator[dict[str, Any]]:
    from mgsd_bench.integrations.inspect_messages import read_output

    for sample in log.samples or []:
        response = read_output(sample.output)
        if response.error is None:
            yield {
                "episode": sample.id,
                "condition": condition,
                "repeat": sample.epoch - 1,
                "text": response.text,
                "finish_reason": response.finish_reason,
            }


def main(
    logs: Annotated[list[Path], typer.Argument(help="Logs of one model: .eval or .json, one for each condition.")],
    out: Annotated[Path, typer.Option("--out", help="Answers as JSONL; overwritten.")],
) -> None:
    """Make of logs what `mgsd-bench score` takes, and say how to score it."""
    try:
        typer.echo(shlex.join(convert(logs, out)))
    except UserError as error:
        typer.echo(f"inspect_answers: {error.spelled(command_line)}", err=True)
        sys.exit(error.code)

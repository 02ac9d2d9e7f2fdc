"""Options of several commands that are no settings, or of commands that take only one or two of these."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mgsd_bench.cli.settings import option_of
from mgsd_bench.errors import UserError
from mgsd_bench.gating.settings import GateSettings
from mgsd_bench.plain import say
from mgsd_bench.suites.settings import SuiteSettings

if TYPE_CHECKING:
    from mgsd_bench.prompts import Condition
    from mgsd_bench.suites.suite import Suite

SuiteName = Annotated[str, option_of(SuiteSettings, "suite")]
Theme = Annotated[str | None, option_of(SuiteSettings, "theme")]
DataRoot = Annotated[Path | None, option_of(SuiteSettings, "data_root")]
Image = Annotated[str | None, option_of(SuiteSettings, "image")]
Strict = Annotated[bool, option_of(SuiteSettings, "strict")]
Limit = Annotated[int | None, option_of(SuiteSettings, "limit")]
Folder = Annotated[Path, option_of(GateSettings, "folder")]
PolicyFile = Annotated[Path | None, option_of(GateSettings, "policy")]
Allow = Annotated[
    list[str],
    typer.Option(
        "--allow",
        help="Let runs differ in these aspects, and say so beside every figure; comma-separated or repeated.",
        metavar="ASPECTS",
    ),
]
OneCondition = Annotated[str, typer.Option("--condition", help="Which condition to show.")]


def note(text: str) -> None:
    """Tell on stderr what there is to know of a suite."""
    say(text, err=True)


def suite_of(settings: SuiteSettings) -> Suite:
    """The suite that settings name; what there is to know of an external one goes to stderr."""
    from mgsd_bench.suites.choose import choose_suite

    return choose_suite(settings, note)


def split(values: list[str]) -> list[str]:
    """The items of a comma-separated, repeatable option."""
    return [item.strip() for value in values for item in value.split(",") if item.strip()]


def condition_of(value: str) -> Condition:
    """The one condition of ``--condition``.

    Raises:
        UserError: there is no such condition.
    """
    from mgsd_bench.prompts import CONDITIONS

    for condition in CONDITIONS:
        if condition == value:
            return condition
    raise UserError(f"--condition {value}: choose from {', '.join(CONDITIONS)}")


def write(option: str, path: Path, text: str) -> None:
    """Write a whole file that an option names; missing folders are made.

    Raises:
        UserError: it cannot be written.
    """
    from mgsd_bench.files import write_whole

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
    except OSError as error:
        raise UserError(f"{option} {path}: cannot be written ({error.strerror or error})") from error

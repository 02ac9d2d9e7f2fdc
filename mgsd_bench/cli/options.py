"""Options that several commands share, and what their texts mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mgsd_bench.errors import UserError

if TYPE_CHECKING:
    from mgsd_bench.prompts import Condition
    from mgsd_bench.suites import Suite

Tasks = Annotated[
    list[str], typer.Option("--tasks", help="Only these tasks; comma-separated or repeated.", metavar="NAMES")
]
Levels = Annotated[
    list[str], typer.Option("--levels", help="Only these levels; comma-separated or repeated.", metavar="NUMBERS")
]
SuiteName = Annotated[str, typer.Option("--suite", help="Which suite; see `mgsd-bench suites`.")]
Theme = Annotated[str | None, typer.Option("--theme", help="Look of the images, instead of the suite's.")]
Limit = Annotated[
    int | None, typer.Option("--limit", help="Episodes a level, spread evenly over plan lengths.", metavar="N")
]
Conditions = Annotated[
    list[str],
    typer.Option("--condition", help="visual, symbolic, perceive, direct; comma-separated or repeated."),
]
Backend = Annotated[str, typer.Option("--backend", help="vllm, hf, scripted or recorded.")]
Out = Annotated[Path | None, typer.Option("--out", help="Run folder; one that holds this run already is resumed.")]
Repeats = Annotated[int, typer.Option("--repeats", help="How often each question is asked.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the sampling.")]
Prompts = Annotated[str, typer.Option("--prompts", help="default, compact, or a folder of your own.")]
Temperature = Annotated[float, typer.Option("--temperature", help="0 is greedy.", min=0.0)]
TopP = Annotated[float, typer.Option("--top-p", min=0.0, max=1.0)]
TopK = Annotated[int, typer.Option("--top-k", help="0 keeps all tokens.", min=0)]
MaxTokens = Annotated[int, typer.Option("--max-tokens", help="Most new tokens an answer may have.", min=1)]
MinPixels = Annotated[int, typer.Option("--min-pixels", help="Smallest image area.", min=1)]
MaxPixels = Annotated[int, typer.Option("--max-pixels", help="Largest image area.", min=1)]
EngineArgs = Annotated[
    list[str],
    typer.Option("-M", help="Engine argument, repeatable: -M gpu_memory_utilization=0.8", metavar="KEY=VALUE"),
]
TrustRemoteCode = Annotated[bool, typer.Option("--trust-remote-code", help="Run code that comes with the checkpoint.")]
OneCondition = Annotated[str, typer.Option("--condition", help="Which condition to show.")]


def choose_suite(name: str, tasks: list[str], levels: list[str], theme: str | None) -> Suite:
    """The suite that the options name, cut to their tasks and levels.

    Raises:
        UserError: one of them names nothing there is.
    """
    from mgsd_bench.suites import get_suite, select, with_theme

    suite = select(get_suite(name), split_list(tasks), numbers(levels))
    return suite if theme is None else with_theme(suite, theme)


def split_list(values: list[str]) -> list[str]:
    """The items of a comma-separated, repeatable option."""
    return [item.strip() for value in values for item in value.split(",") if item.strip()]


def numbers(values: list[str]) -> list[int]:
    """The numbers of ``--levels``.

    Raises:
        UserError: one is no whole number.
    """
    try:
        return [int(item) for item in split_list(values)]
    except ValueError as error:
        raise UserError(f"--levels {','.join(values)}: levels are whole numbers, for example 3,4") from error


def conditions(values: list[str]) -> list[Condition]:
    """The conditions of ``--condition``.

    Raises:
        UserError: one is unknown, or there is none.
    """
    from mgsd_bench.prompts import CONDITIONS

    known: dict[str, Condition] = {condition: condition for condition in CONDITIONS}
    chosen = split_list(values)
    for value in chosen:
        if value not in known:
            raise UserError(f"--condition {value}: choose from {', '.join(CONDITIONS)}")
    if not chosen:
        raise UserError(f"--condition: name at least one of {', '.join(CONDITIONS)}")
    return list(dict.fromkeys(known[value] for value in chosen))


def key_values(pairs: list[str]) -> dict[str, Any]:
    """The engine arguments of ``-M``; values are JSON where they can be read as such, else strings.

    Raises:
        UserError: one is not KEY=VALUE.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UserError(f"-M {pair}: write KEY=VALUE, for example -M max_num_seqs=64")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value  # a bare word is a string
    return found

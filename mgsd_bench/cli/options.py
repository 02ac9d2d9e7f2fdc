"""Options that several commands share, and what their texts mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mgsd_bench.errors import UserError

if TYPE_CHECKING:
    from mgsd_bench.prompts import Condition
    from mgsd_bench.suites.suite import Suite

Tasks = Annotated[
    list[str], typer.Option("--tasks", help="Only these tasks; comma-separated or repeated.", metavar="NAMES")
]
Levels = Annotated[
    list[str], typer.Option("--levels", help="Only these levels; comma-separated or repeated.", metavar="NUMBERS")
]
SuiteName = Annotated[str, typer.Option("--suite", help="Which suite; see `mgsd-bench suites`.")]
Theme = Annotated[str | None, typer.Option("--theme", help="Look of the images, instead of the suite's.")]
DataRoot = Annotated[
    Path | None,
    typer.Option("--data-root", help="Folder with others' test sets, at any depth; for suites read from them."),
]
Image = Annotated[
    str | None,
    typer.Option(
        "--image", help="With --data-root: classic (our render) or original (the set's own, where it has any)."
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="With --data-root: a damaged record is an error, not left out.")]
Limit = Annotated[
    int | None, typer.Option("--limit", help="Episodes a level, spread evenly over plan lengths.", metavar="N")
]
Conditions = Annotated[
    list[str],
    typer.Option("--condition", help="visual, symbolic, perceive, direct; comma-separated or repeated."),
]
Backend = Annotated[str, typer.Option("--backend", help="vllm, openai, hf, scripted or recorded.")]
BaseUrls = Annotated[
    list[str],
    typer.Option(
        "--base-url",
        help="Server for --backend openai; repeat it to share the work. Default: $OPENAI_BASE_URL, else OpenAI's own.",
        metavar="URL",
    ),
]
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
    typer.Option("-M", help="Backend's own argument, repeatable: -M max_num_seqs=64", metavar="KEY=VALUE"),
]
TrustRemoteCode = Annotated[bool, typer.Option("--trust-remote-code", help="Run code that comes with the checkpoint.")]
Allow = Annotated[
    list[str],
    typer.Option(
        "--allow",
        help="Let runs differ in these aspects, and say so beside every figure; comma-separated or repeated.",
        metavar="ASPECTS",
    ),
]
OneCondition = Annotated[str, typer.Option("--condition", help="Which condition to show.")]


def suite_of(
    name: str,
    tasks: list[str],
    levels: list[str],
    theme: str | None,
    data_root: Path | None = None,
    image: str | None = None,
    *,
    strict: bool = False,
) -> Suite:
    """The suite that the options name; what there is to know of an external one goes to stderr."""
    from mgsd_bench.suites.choose import choose_suite

    return choose_suite(
        name, tasks, levels, theme, data_root, image, strict=strict, on_note=lambda note: typer.echo(note, err=True)
    )


def split(values: list[str]) -> list[str]:
    """The items of a comma-separated, repeatable option."""
    return [item.strip() for value in values for item in value.split(",") if item.strip()]


def condition_of(value: str) -> Condition:
    """The one condition of ``--condition``.

    Raises:
        UserError: there is no such condition.
    """
    (first, *others) = conditions([value])
    if others:
        raise UserError(f"--condition {value}: name one condition")
    return first


def conditions(values: list[str]) -> list[Condition]:
    """The conditions of ``--condition``.

    Raises:
        UserError: one is unknown, or there is none.
    """
    from mgsd_bench.prompts import CONDITIONS
    from mgsd_bench.suites.choose import split_list

    known: dict[str, Condition] = {condition: condition for condition in CONDITIONS}
    chosen = split_list(values)
    for value in chosen:
        if value not in known:
            raise UserError(f"--condition {value}: choose from {', '.join(CONDITIONS)}")
    if not chosen:
        raise UserError(f"--condition: name at least one of {', '.join(CONDITIONS)}")
    return list(dict.fromkeys(known[value] for value in chosen))


def engine_arguments(pairs: list[str], backend: str, base_urls: list[str]) -> dict[str, Any]:
    """The backend's own arguments: those of ``-M``, and the servers of ``--base-url``.

    Raises:
        UserError: a pair is not KEY=VALUE, or this backend asks no servers.
    """
    found = key_values(pairs)
    if "base_url" in found:
        raise UserError("-M base_url=...: use --base-url")
    if base_urls and backend != "openai":
        raise UserError(f"--base-url {base_urls[0]}: --backend {backend} asks no server; add --backend openai")
    return {**found, "base_url": base_urls} if base_urls else found


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

"""The suite that settings name, for every front end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mgsd_bench.errors import UserError, option
from mgsd_bench.suites.external import EXTERNAL, load, notes, outline
from mgsd_bench.suites.suite import Suite, get_suite, select, with_theme


def choose_suite(
    name: str,
    tasks: list[str],
    levels: list[str],
    theme: str | None,
    data_root: Path | None = None,
    image: str | None = None,
    *,
    strict: bool = False,
    on_note: Callable[[str], None] = lambda note: None,
) -> Suite:
    """The suite that the options name, cut to their tasks and levels.

    Args:
        name: of a suite, made or external.
        tasks: names, each of which may be several with commas between; all if empty.
        levels: grid sizes, likewise.
        theme: the look instead of the suite's.
        data_root: folder that an external suite is read from.
        image: ``original`` for the pictures of an external suite, ``classic`` for ours.
        strict: refuse a damaged record of an external suite rather than leave it out.
        on_note: told in one line each what there is to know of an external suite.

    Raises:
        UserError: one of them names nothing there is, or an external suite cannot be read.
    """
    external = name in EXTERNAL
    suite = select(outline(name) if external else get_suite(name), split_list(tasks), numbers(levels))
    if theme is not None:
        suite = with_theme(suite, theme)
    if not external:
        for setting, given in (("data_root", data_root), ("image", image), ("strict", strict)):
            if given:
                raise UserError(
                    f"{option(setting)}: suite {name} is made, not read; leave it out or name {', '.join(EXTERNAL)}"
                )
        return suite
    if data_root is None:
        raise UserError(
            f"{option('suite', name)}: is read from a folder; name it with {option('data_root', 'DIR')} "
            "(docs/external-data.md)"
        )
    suite, loaded = load(suite, data_root, image or "classic", strict=strict)
    for note in notes(suite, loaded):
        on_note(note)
    return suite


def split_list(values: list[str]) -> list[str]:
    """The items of a comma-separated, repeatable option."""
    return [item.strip() for value in values for item in value.split(",") if item.strip()]


def numbers(values: list[str]) -> list[int]:
    """The numbers of ``levels``.

    Raises:
        UserError: one is no whole number.
    """
    try:
        return [int(item) for item in split_list(values)]
    except ValueError as error:
        raise UserError(f"{option('levels', ','.join(values))}: levels are whole numbers, for example 3,4") from error

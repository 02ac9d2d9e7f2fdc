"""The suite that settings name, for every front end."""

from __future__ import annotations

from collections.abc import Callable

from mgsd_bench.errors import UserError, option
from mgsd_bench.suites.external import EXTERNAL, load, notes, outline
from mgsd_bench.suites.settings import SuiteSettings
from mgsd_bench.suites.suite import Suite, get_suite, select, with_theme


def choose_suite(settings: SuiteSettings, on_note: Callable[[str], None] = lambda note: None) -> Suite:
    """The suite that settings name, cut to their tasks and levels.

    Args:
        settings: which suite, and what of it; ``limit`` is left to whoever takes the episodes.
        on_note: told in one line each what there is to know of an external suite.

    Raises:
        UserError: one of them names nothing there is, or an external suite cannot be read.
    """
    name, data_root = settings.suite, settings.data_root
    external = name in EXTERNAL
    suite = select(outline(name) if external else get_suite(name), settings.tasks, settings.levels)
    if settings.theme is not None:
        suite = with_theme(suite, settings.theme)
    if not external:
        for setting in ("data_root", "image", "strict"):
            if getattr(settings, setting):
                raise UserError(
                    f"{option(setting)}: suite {name} is made, not read; leave it out or name {', '.join(EXTERNAL)}"
                )
        return suite
    if data_root is None:
        raise UserError(
            f"{option('suite', name)}: is read from a folder; name it with {option('data_root', 'DIR')} "
            "(docs/external-data.md)"
        )
    suite, loaded = load(suite, data_root, settings.image or "classic", strict=settings.strict)
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

"""The suite that settings name, for every front end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mgsd_bench.config.layers import Layers, suggest
from mgsd_bench.errors import UserError, option
from mgsd_bench.suites.external import EXTERNAL, load, notes, outline
from mgsd_bench.suites.settings import SuiteSettings
from mgsd_bench.suites.suite import Suite, select, with_theme
from mgsd_bench.suites.suite_file import asked_by, read_suite, shipped_file, shipped_names, shipped_suite
from mgsd_bench.suites.suite_folder import read_folder


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
    suite = select(outline(name) if external else find_suite(name), settings.tasks, settings.levels)
    if settings.theme is not None:
        suite = with_theme(suite, settings.theme)
    if not external:
        origin = "made, not read" if suite.given is None else "no test set of others"
        for setting in ("data_root", "image", "strict"):
            if getattr(settings, setting):
                raise UserError(
                    f"{option(setting)}: suite {name} is {origin}; leave it out or name {', '.join(EXTERNAL)}"
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


def find_suite(name: str) -> Suite:
    """The suite that a name stands for: one that comes with the project, a file, or a folder that was generated.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    if name in shipped_names():
        return shipped_suite(name)
    path = Path(name)
    if path.is_dir():
        return read_folder(path)
    if path.exists() or path.suffix in (".yaml", ".yml"):
        return read_suite(path)
    known = suggest(name, (*shipped_names(), *EXTERNAL))
    raise UserError(f"{option('suite', name)}: unknown suite, and no such file or folder; {known}")


def asked_by_suite(given: Layers) -> Layers:
    """What the file of a suite says of settings that are not given, such as conditions and prompts; else nothing.

    Args:
        given: the settings as they are given; ``suite`` among them if it is not the default.

    Raises:
        UserError: the file cannot be read, or something in it is unknown or not possible.
    """
    name = given.values.get("suite")
    if not isinstance(name, str) or name in EXTERNAL:
        return Layers({}, {})
    path = shipped_file(name) or Path(name)
    if not path.is_file():
        return Layers({}, {})
    said = asked_by(path)
    taken = {key: value for key, value in said.values.items() if given.values.get(key) is None}
    return Layers(taken, {key: origin for key, origin in said.origins.items() if key[0] in taken})


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

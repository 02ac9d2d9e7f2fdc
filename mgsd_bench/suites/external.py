"""External test sets as suites, the paper's own among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from mgsd_bench.errors import UserError, option
from mgsd_bench.suites.external_sets import SETS, ExternalSet, Finding, Loaded, Shelf
from mgsd_bench.suites.suite import Part, Suite

IMAGES = ("classic", "original")
MOST_NOTES = 10
_PAPER = ("diffthinker-frozenlake", "visualplanning-maze", "visualplanning-minibehaviour")
EXTERNAL: dict[str, tuple[ExternalSet, ...]] = {
    "paper": tuple(test_set for test_set in SETS if test_set.name in _PAPER),
    **{test_set.name: (test_set,) for test_set in SETS},
}
"""External suites by name: the sets that each is made of, no task twice. ``paper`` is what the MGSD paper evaluates."""


def outline(name: str) -> Suite:
    """An external suite before it is read: its parts are those that were published."""
    parts = tuple(Part(each.task, level, count) for each in EXTERNAL[name] for level, count in each.counts.items())
    sets = EXTERNAL[name]
    return Suite(name, sets[0].about if len(sets) == 1 else " + ".join(each.name for each in sets), parts)


def load(suite: Suite, root: Path, image: str = "classic", *, strict: bool = False) -> tuple[Suite, list[Loaded]]:
    """Read an external suite.

    Args:
        suite: an :func:`outline`, cut to the wanted tasks and levels.
        root: a folder that holds its sets at any depth, or one file.
        image: ``original`` to show the sets' own pictures where there are any, ``classic`` for ours.
        strict: refuse a damaged record rather than leave it out.

    Returns:
        The suite with the episodes that are there, and what was found of each of its sets.

    Raises:
        UserError: an unknown image, nothing of the suite is there, or a damaged record under ``strict``.
    """
    if image not in IMAGES:
        raise UserError(f"{option('image', image)}: choose from {', '.join(IMAGES)}")
    if image == "original" and suite.theme != "classic":
        raise UserError(
            f"{option('theme', suite.theme)}: original pictures have no theme; leave out {option('theme')} or "
            f"{option('image')}"
        )
    shelf = Shelf(root)
    sets = EXTERNAL[suite.name]
    levels = {each.task: [part.level for part in suite.parts if part.task == each.task] for each in sets}
    loaded = [shelf.load(each, levels[each.task], suite.theme, image) for each in sets if levels[each.task]]
    bad = [finding for each in loaded for finding in each.findings if finding.kind == "bad"]
    if strict:
        refuse(bad)
    episodes = tuple(episode for each in loaded for episode in each.episodes)
    if not episodes:
        damaged = f"; {bad[0].source}: {bad[0].why}" if bad else ""
        raise UserError(
            f"{option('data_root', root)}: holds no usable record of suite {suite.name} for these levels{damaged}"
        )
    counts = Counter((episode.task, episode.level) for episode in episodes)
    parts = tuple(replace(part, count=n) for part in suite.parts if (n := counts[part.task, part.level]))
    rows = [asdict(row) for each in loaded for row in each.rows()]
    origin = {"data_root": str(root.resolve()), "image": image, "levels": rows}
    return replace(suite, parts=parts, given=episodes, origin=origin), loaded


def refuse(bad: Sequence[Finding]) -> None:
    """End at the first damaged record.

    Raises:
        UserError: there is one.
    """
    if bad:
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        raise UserError(f"{option('strict', True)}: {bad[0].source}: {bad[0].why}{more}")


def notes(suite: Suite, loaded: Sequence[Loaded]) -> list[str]:
    """What a user should know before the answers come: what is missing, damaged, there twice or trained on."""
    lines = [_counts(each) for each in loaded]
    if missing := [each.test_set.task for each in loaded if not each.episodes]:
        there = ", ".join(each.test_set.task for each in loaded if each.episodes)
        lines.append(f"nothing of {', '.join(missing)} here: averages over tasks are over {there} alone")
    bad = [finding for each in loaded for finding in each.findings if finding.kind == "bad"]
    lines += [f"left out: {finding.source}: {finding.why}" for finding in bad[:MOST_NOTES]]
    if len(bad) > MOST_NOTES:
        lines.append(f"left out: {len(bad) - MOST_NOTES} more; see them with `mgsd-bench suites verify`")
    for kind, what in (("duplicate", "states come twice"), ("length", "records disagree with the shortest plan")):
        if n := sum(finding.kind == kind for each in loaded for finding in each.findings):
            lines.append(f"{n} {what}; kept, see `mgsd-bench suites verify`")
    if train := sum(episode.split == "train" for each in loaded for episode in each.episodes):
        lines.append(
            f"{train} of these states are in our train split: a model that was trained on it may have seen them"
        )
    drawn = [each.test_set.name for each in loaded if each.episodes and not each.test_set.has_pictures]
    if suite.origin and suite.origin["image"] == "original" and drawn:
        lines.append(f"drawn in the classic look: {', '.join(drawn)} (no pictures are published)")
    return lines


def _counts(loaded: Loaded) -> str:
    rows = [row for row in loaded.rows() if row.level is not None]
    usable, full = sum(row.loaded for row in rows), sum(row.published for row in rows)
    by_level = ", ".join(f"{row.level}: {row.loaded}/{row.published}" for row in rows)
    return f"{loaded.test_set.name}: {usable} of {full} published episodes (by level {by_level})"

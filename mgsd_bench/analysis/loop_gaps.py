"""Differences between two ways of asking the same episodes of which one at least is acting step by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mgsd_bench.analysis.closed_loop import ActingGap, GapRow, Way
from mgsd_bench.analysis.groups import Pairs, group_column
from mgsd_bench.errors import Exit, UserError
from mgsd_bench.statistics.intervals import holm
from mgsd_envs.views import View

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A difference to be measured: names, what it says, both sides with their column, and whether it stands alone."""

    name: str
    about: str
    before: tuple[Way, str]
    after: tuple[Way, str]
    primary: bool = True


def gaps(tables: Mapping[Way, pd.DataFrame]) -> tuple[ActingGap, ...]:
    """Every difference that these ways of asking allow, p-values adjusted over all that stand by themselves.

    Args:
        tables: the rows of each way, all of the same episodes.

    Raises:
        UserError: two ways have other episodes (exit code ``NOT_COMPARABLE``).
    """
    wanted = [gap for gap in _wanted(list(tables)) if gap.before[0] in tables and gap.after[0] in tables]
    found = [_measure(gap, tables) for gap in wanted]
    adjusted = holm({str(i): gap.macro.mid_p for i, gap in enumerate(found) if wanted[i].primary})
    return tuple(replace(gap, macro=replace(gap.macro, holm_p=adjusted.get(str(i)))) for i, gap in enumerate(found))


def _wanted(ways: Sequence[Way]) -> Iterator[_Wanted]:
    act, direct = Way("act", "full"), (Way("direct", "full"), "solved")
    yield _Wanted(
        "feedback gain",
        "Acting step by step, solved without a blocked action, over a plan said at once: what looking again is worth.",
        direct,
        (act, "strict"),
    )
    yield _Wanted(
        "feedback gain, bumps forgiven",
        "The same with blocked actions forgiven: also what being forgiven is worth.",
        direct,
        (act, "solved"),
        primary=False,
    )
    for view in dict.fromkeys(way.view for way in ways):
        seen = Way("act", view), "solved"
        yield _Wanted(
            "picture use, over the first one",
            "The picture of each turn over the first one again: whether new pictures are used.",
            (Way("act-stale", view), "solved"),
            seen,
        )
        yield _Wanted(
            "picture use, over none",
            "A picture each turn over none after the first: whether later pictures are used at all.",
            (Way("act-blind", view), "solved"),
            seen,
        )
        yield _Wanted(
            "modality gap", "The state as text each turn over its picture.", seen, (Way("act-symbolic", view), "solved")
        )
    for condition in ("act", "act-symbolic"):
        for view in dict.fromkeys(way.view for way in ways if way.condition == condition):
            if (parsed := View.parse(view)).kind != "fog":
                continue
            fog = Way(condition, view), "solved"
            yield _Wanted(
                "memory gap",
                "Fog, which leaves what was seen in the picture, over a window, which does not: what forgetting costs.",
                (Way(condition, f"window:{parsed.radius}"), "solved"),
                fog,
            )
            yield _Wanted(
                "exploration gap",
                "The whole board over fog: what having to look for the way costs.",
                fog,
                (Way(condition, "full"), "solved"),
            )


def _measure(gap: _Wanted, tables: Mapping[Way, pd.DataFrame]) -> ActingGap:
    before, after = (group_column(tables[way], column) for way, column in (gap.before, gap.after))
    try:
        pairs = before.paired(after)
    except ValueError as error:
        raise UserError(f"{_label(*gap.before)} and {_label(*gap.after)}: {error}", Exit.NOT_COMPARABLE) from error
    rows = {task: _row(pairs.at(task)) for task in before.tasks}
    adjusted = holm({task: row.mid_p for task, row in rows.items()})
    return ActingGap(
        name=gap.name,
        before=_label(*gap.before),
        after=_label(*gap.after),
        about=gap.about,
        macro=_row(pairs),
        tasks={task: replace(row, holm_p=adjusted[task]) for task, row in rows.items()},
    )


def _label(way: Way, column: str) -> str:
    return f"{way.name}{', strict' if column == 'strict' else ''}"


def _row(pairs: Pairs) -> GapRow:
    only_before, only_after = pairs.only()
    return GapRow(
        n=pairs.before.n,
        before=pairs.before.estimate(),
        after=pairs.after.estimate(),
        difference=pairs.difference(),
        only_before=only_before,
        only_after=only_after,
        mid_p=pairs.p(),
        holm_p=None,
    )

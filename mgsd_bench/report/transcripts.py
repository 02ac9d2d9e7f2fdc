"""Transcripts of episodes that were acted in step by step, as the explorer of the HTML report reads them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from mgsd_bench.analysis.run import Run
from mgsd_bench.analysis.transcript import PlayedTurn, Transcript, read_transcripts
from mgsd_bench.report.mosaic import Mosaics
from mgsd_bench.report.page import MosaicData, TranscriptData, TurnData, in_script
from mgsd_bench.runs.sample import Sample
from mgsd_envs import Episode, get_task

MOST_TURNS = 12_000
"""The most turns of a page."""
MOST_CHARACTERS = 16_000_000
"""The most characters of all transcripts of a page."""
MOST_PIXELS = 4_000_000
"""The most pixels of all different parts of pictures of a page."""
MOST_TEXT = 6_000
"""The most characters of what was said in a turn; of longer texts the middle is left out."""


@dataclass(frozen=True, slots=True)
class Acted:
    """An answer that was acted out.

    Attributes:
        number: of the answer in the page.
        question: what the answers of several models are to; they are in the page together.
        run: its run.
        sample: the answer.
        episode: its episode.
    """

    number: int
    question: tuple[int, str, int]
    run: Run
    sample: Sample
    episode: Episode


class Transcripts:
    """The first transcripts, as many as a page can hold, in blocks of text that are safe within a script element.

    Args:
        acted: the answers, those to be kept in any case first; what is to be kept at all is kept with all other answers
            to the same question.
        plan: packs actions.
        shorten: a text without its middle, if it has more than so many characters.

    Attributes:
        numbers: of the answers whose transcripts there are, in their order.
        lines: a line of JSON for each of them (:class:`mgsd_bench.report.page.TranscriptData`).
        shown: a line of JSON for everything that was shown (:class:`mgsd_bench.report.page.ShownData`).
        sheets: the tiles that pictures are made of.

    Raises:
        UserError: the turns of a run are damaged.
    """

    def __init__(
        self, acted: Iterable[Acted], plan: Callable[[Iterable[str]], str], shorten: Callable[[str, int], str]
    ) -> None:
        self._mosaics = Mosaics()
        self._plan, self._shorten = plan, shorten
        self.numbers: tuple[int, ...] = ()
        lines: list[str] = []
        characters = 0
        groups = _chosen(acted)
        stored = _stored([one for group in groups for one in group])
        for group in groups:
            if characters > MOST_CHARACTERS or self._mosaics.pixels > MOST_PIXELS:
                break
            for one in group:
                transcript = stored.pop((id(one.run), one.sample.key), None)
                if transcript is not None:
                    lines.append(in_script(self._data(transcript)))
                    characters += len(lines[-1])
                    self.numbers = (*self.numbers, one.number)
        self.lines = "\n".join(lines)
        self.shown = "\n".join(map(in_script, self._mosaics.shown))

    @property
    def sheets(self) -> tuple[MosaicData, ...]:
        """The sheets of tiles, by their numbers."""
        return self._mosaics.sheets

    def _data(self, transcript: Transcript) -> TranscriptData:
        to_go = (transcript.to_go, *(turn.to_go for turn in transcript.turns))
        turns = tuple(self._turn(transcript, number, turn) for number, turn in enumerate(transcript.turns))
        return TranscriptData(tuple(map(_whole, to_go)), turns)

    def _turn(self, transcript: Transcript, number: int, turn: PlayedTurn) -> TurnData:
        episode, record = transcript.episode, turn.record
        rule = turn.steps[-1].rule if turn.steps else None
        return TurnData(
            shown=self._shown(transcript, number),
            actions=self._plan(step.action for step in turn.steps),
            kinds="".join(step.kind for step in turn.steps),
            rule=None if rule is None else get_task(episode.task).rules.get(rule, "no such action"),
            causes=turn.causes or None,
            again=turn.again,
            finish=record.finish_reason,
            tokens=record.completion_tokens,
            seconds=record.seconds,
            text=self._shorten(record.text, MOST_TEXT),
        )

    def _shown(self, transcript: Transcript, number: int) -> int | None:
        """The number of what was shown in a turn, a picture in whole pixels a cell."""
        episode, view = transcript.episode, transcript.view
        side = 2 * view.radius + 1 if view.kind == "window" else episode.level
        shown = transcript.shown(number, side * max(4, episode.pixels // side))
        return None if shown is None else self._mosaics.add(shown, side)


def _chosen(acted: Iterable[Acted]) -> list[list[Acted]]:
    """The answers by question, as long as they have no more turns than a page can hold."""
    groups: dict[tuple[int, str, int], list[Acted]] = {}
    for one in acted:
        groups.setdefault(one.question, []).append(one)
    chosen: list[list[Acted]] = []
    turns = 0
    for group in groups.values():
        turns += sum(one.sample.loop.turns for one in group if one.sample.loop)
        if turns > MOST_TURNS:
            break
        chosen.append(group)
    return chosen


def _stored(acted: Sequence[Acted]) -> dict[tuple[int, str], Transcript]:
    """The transcripts of answers, run by run."""
    found: dict[tuple[int, str], Transcript] = {}
    for run in {id(one.run): one.run for one in acted}.values():
        wanted = {one.sample.key: one.sample for one in acted if one.run is run}
        found |= {(id(run), key): transcript for key, transcript in read_transcripts(run, wanted).items()}
    return found


def _whole(to_go: float | None) -> int | None:
    return None if to_go is None else -1 if math.isinf(to_go) else int(to_go)

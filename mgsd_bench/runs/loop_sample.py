"""The sample that the turns of one episode make."""

from __future__ import annotations

from collections.abc import Sequence

from mgsd_bench.prompts import Condition
from mgsd_bench.prompts.protocol import LoopSettings
from mgsd_bench.runs.loop_scoring import Ending, score_loop
from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.turns import TurnRecord
from mgsd_envs import Episode


def loop_sample(
    episode: Episode,
    condition: Condition,
    repeat: int,
    loop: LoopSettings,
    turns: Sequence[TurnRecord],
    ending: Ending | None,
    *,
    prompt_digest: str = "",
    error: str | None = None,
) -> Sample:
    """Score an episode's turns as the sample that is stored of them.

    Args:
        episode: the episode.
        condition: how it was put.
        repeat: 0-based number of the try.
        loop: the settings that it was asked with.
        turns: its turns, in their order; those of failed requests left out.
        ending: how it ended; None where the simulator ended it.
        prompt_digest: of the first question, for an episode without a turn.
        error: why there is no next turn, of an episode that ended as ``error``.

    Raises:
        ValueError: the turns cannot be those of this episode; one line.
    """
    seconds = [turn.seconds for turn in turns if turn.seconds is not None]
    return Sample.of(
        episode,
        condition,
        repeat,
        score_loop(episode, condition, loop, turns, ending),
        prompt_digest=turns[0].prompt_digest if turns else prompt_digest,
        text=turns[-1].text if turns else "",
        finish_reason="error" if error is not None or not turns else turns[-1].finish_reason,
        prompt_tokens=_sum([turn.prompt_tokens for turn in turns]),
        completion_tokens=_sum([turn.completion_tokens for turn in turns]),
        error=error,
        seconds=sum(seconds) if seconds else None,
    )


def _sum(counts: Sequence[int | None]) -> int | None:
    """Their sum; None where none or not all are known."""
    known = [count for count in counts if count is not None]
    return sum(known) if known and len(known) == len(counts) else None

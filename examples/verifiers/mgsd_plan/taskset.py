"""Episodes as tasks of verifiers; pictures as data URLs, rewards as mgsd-bench computes them."""

from __future__ import annotations

from collections.abc import Iterator

import verifiers.v1 as vf

from mgsd_bench.backends.chat_api import user_turn
from mgsd_bench.integrations.rewards import reward
from mgsd_bench.prompts import WITH_IMAGE, load_prompts
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.suite import custom, episodes, select, subsample


class PlanData(vf.TaskData):
    """One question: what the model is shown, and the episode that its answer is tried in."""

    episode: str
    """Canonical JSON of the episode."""


class PlanTask(vf.Task[PlanData]):
    """The plan of the last reply in the simulator; what else it is worth is told beside it, with weight 0."""

    @vf.reward(weight=1.0)
    async def success(self, trace: vf.Trace) -> float:
        """1 if the plan solves the episode."""
        return reward(trace.last_reply, self.data.episode, "success")

    @vf.metric
    async def optimal(self, trace: vf.Trace) -> float:
        """1 if it does in as few actions as possible."""
        return reward(trace.last_reply, self.data.episode, "optimal")

    @vf.metric
    async def state_f1(self, trace: vf.Trace) -> float:
        """F1 of the facts that it states about the picture."""
        return reward(trace.last_reply, self.data.episode, "state_f1")


class PlanConfig(vf.TasksetConfig):
    """Which questions; names and meanings are those of ``mgsd-bench eval`` and ``mgsd-bench generate``."""

    suite: str = "mgsd-v1"
    """A suite to evaluate on; not looked at where `count` is set."""
    tasks: list[str] = []
    levels: list[int] = []
    limit: int | None = None
    """Episodes a level of the suite."""
    count: int | None = None
    """To train on: this many new episodes a level of the split train, and not the suite's."""
    stream: str = "verifiers"
    """Names the random stream of new episodes."""
    condition: str = "visual"
    """visual, or symbolic for the state as text."""
    prompts: str = "default"


class PlanTaskset(vf.Taskset[PlanTask, PlanConfig]):
    """The episodes of a suite, or new ones to train on, each asked once."""

    def load(self) -> Iterator[PlanTask]:
        """Yield the questions; the same settings give the same ones."""
        chosen, condition = self.config, self.config.condition
        if chosen.count is None:
            suite = select(find_suite(chosen.suite), chosen.tasks, chosen.levels)
        else:
            suite = custom(chosen.tasks, chosen.levels, chosen.count, split="train", stream=chosen.stream)
        asked = episodes(suite) if chosen.limit is None else subsample(episodes(suite), chosen.limit)
        texts = load_prompts(chosen.prompts, asked, [condition])
        for episode in asked:
            picture = episode.shown() if condition in WITH_IMAGE else None
            (message,) = user_turn(texts.render(episode, condition), picture)
            data = PlanData(name=episode.id, prompt=[vf.UserMessage(**message)], episode=episode.canonical())
            yield PlanTask(data, chosen.task)

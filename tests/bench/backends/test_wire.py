"""Requests as they travel: what arrives is what was sent, in a few hundred bytes."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from mgsd_bench.backends import Backend, BackendConfig, Request, Response, hold, single_turn
from mgsd_bench.backends.scripted import open_backend
from mgsd_bench.backends.shared import Queue
from mgsd_bench.backends.wire import Drawn, pack, unpack
from mgsd_bench.prompts import CONDITIONS, load_prompts
from mgsd_bench.prompts.protocol import LoopSettings
from mgsd_bench.runs.closed_loop import Loop, step_limits
from mgsd_bench.runs.questions import Questions
from mgsd_bench.runs.runner import Asking
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.packed import Packed
from mgsd_bench.suites.suite import episodes, select
from mgsd_envs import Episode, get_task
from mgsd_envs.looks import Look
from mgsd_envs.originals import read_original
from mgsd_envs.views import FULL, View


class Travelled(Queue):
    """A scripted model to which every question has travelled; what was sent and what arrived is kept."""

    def __init__(self, model: str) -> None:
        super().__init__()
        self._inner = open_backend(BackendConfig(model))
        self.pairs: list[tuple[Request, Request]] = []

    def describe(self) -> dict[str, Any]:
        return {}

    def answer(self, batch: list[Request]) -> list[Response]:
        arrived = [unpack(each.key, pickle.loads(pickle.dumps(pack(each, scripted=True)))) for each in batch]
        self.pairs += zip(batch, arrived, strict=True)
        return self._inner.answer(arrived)


def asked(model: str, view: View = FULL) -> tuple[list[str], list[tuple[Request, Request]]]:
    """What a scripted model makes of a few episodes in three looks, by itself and with all questions sent."""
    of_suite = [
        replace(episode.in_look(Look.parse(look), Look("classic")), pixels=128)
        for episode in episodes(select(find_suite("smoke"), ("frozenlake", "minibehaviour"), (3, 5)))[::4]
        for look in (("classic", "classic+blur-2", "night") if view == FULL else ("classic",))
    ]
    conditions = list(CONDITIONS) if view == FULL else ["act", "act-stale", "act-symbolic"]
    settings = LoopSettings(view=view, history=None, say_state=True, chunk=2)
    prompts = load_prompts("compact", of_suite, cast(Any, conditions), say_state=True)
    asking = Asking(prompts, 5, Loop(settings, step_limits(of_suite, view), greedy=False))
    to_ask = Questions(Packed(of_suite), cast(Any, conditions), 1)

    def lines(backend: Backend) -> list[str]:
        samples = hold(backend, map(asking.conversation, to_ask))
        return sorted(str(replace(sample, seconds=None)) for sample in samples)

    travelled, at_home = Travelled(model), lines(open_backend(BackendConfig(model)))
    assert lines(travelled) == at_home
    return at_home, travelled.pairs


@pytest.mark.parametrize("view", [FULL, View("fog", 1), View("window", 1)], ids=str)
def test_what_arrives_is_what_was_sent(view: View) -> None:
    _, pairs = asked("faulty:0.2,0.2,0.1", view)
    assert any(len(request.images) > 2 for request, _ in pairs)
    for sent, arrived in pairs:
        assert (arrived.key, arrived.seed, arrived.condition) == (sent.key, sent.seed, sent.condition)
        assert [(turn.role, turn.text) for turn in arrived.turns] == [(turn.role, turn.text) for turn in sent.turns]
        assert arrived.moment == sent.moment
        for old, new in zip(sent.images, arrived.images, strict=True):
            assert np.array_equal(old(), new())


@pytest.mark.parametrize("model", ["oracle", "random", "straight", "blind-to:blur,0.3", "noisy-planning:0.5"])
def test_scripted_models_answer_as_at_home(model: str) -> None:
    samples, _ = asked(model)
    assert samples


def test_a_real_model_is_told_no_episode_and_no_moment() -> None:
    _, pairs = asked("oracle")
    for sent, _ in pairs:
        parcel = pack(sent, scripted=False)
        assert parcel.files == ()
        arrived = unpack(sent.key, parcel)
        assert arrived.episode is None
        assert arrived.moment is None
        data = json.loads(parcel.text)
        words = sum(len(turn.text) for turn in sent.turns)
        assert len(data["episodes"]) <= 1
        assert len(parcel.text) < 1.2 * words + 800 + 200 * len(sent.turns)


def test_pictures_of_others_travel_as_files(tmp_path: Path) -> None:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "board.png")
    episode = replace(episodes(find_suite("smoke"))[0], original=read_original(tmp_path / "board.png"))
    prompts = load_prompts("compact", [episode], ["visual"])
    (question,) = Questions(Packed([episode]), ["visual"], 1)
    request = next(Asking(prompts, 0).conversation(question))
    parcel = pack(request, scripted=False)
    assert len(parcel.files) == 1
    (tmp_path / "board.png").unlink()
    assert np.array_equal(unpack("x", parcel).images[0](), request.images[0]())


def test_a_task_that_is_not_installed_there() -> None:
    episode = episodes(find_suite("smoke"))[0]
    draw = Drawn(episode.draw(), episode, None)
    parcel = pack(single_turn("x", "?", draw, 0, "visual", episode), scripted=False)
    with pytest.raises(KeyError, match="nowhere"):
        unpack("x", replace(parcel, text=parcel.text.replace(episode.task, "nowhere")))


def test_states_arrive_as_they_are() -> None:
    def there(episode: Episode) -> Episode:
        return unpack("x", pack(single_turn("x", "?", None, 0, "visual", episode), scripted=True)).episode

    for episode in episodes(find_suite("smoke"))[::5]:
        arrived = there(episode)
        assert get_task(episode.task).key(arrived.state) == get_task(episode.task).key(episode.state)
        assert arrived.canonical() == episode.canonical()

"""The closed loop: every conversation goes its own way, and a run that was killed goes on at the next turn."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mgsd_bench.analysis.run import load_run
from mgsd_bench.backends import EngineError, Request, Response, hold
from mgsd_bench.backends.scripted import Faults, ScriptedBackend
from mgsd_bench.config.settings import make_settings
from mgsd_bench.errors import Exit, UserError
from mgsd_bench.evaluation.evaluate import Evaluation, evaluate
from mgsd_bench.evaluation.rescore import rescore
from mgsd_bench.evaluation.settings import EvaluationSettings
from mgsd_bench.evaluation.verify import verify
from mgsd_bench.prompts import load_prompts
from mgsd_bench.prompts.protocol import LoopSettings, opening
from mgsd_bench.runs.closed_loop import Loop, closed_loop, step_limits
from mgsd_bench.runs.conversation import Question
from mgsd_bench.runs.lines import sealed
from mgsd_bench.runs.turns import read_turns
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.suite import episodes
from mgsd_envs import get_task
from mgsd_envs.views import FULL, View

QUIET = Console(quiet=True)
CONDITIONS = ("act", "act-symbolic", "act-stale", "act-blind")


def job(out: Path, model: str = "faulty:0.1,0.2,0.05", **changes: Any) -> Evaluation:
    given: dict[str, Any] = {
        "suite": "smoke",
        "levels": (3, 4, 5),
        "limit": 2,
        "conditions": ("act", "act-symbolic"),
        "prompts": "compact",
        "backend": "scripted",
        **changes,
    }
    return Evaluation.from_settings(make_settings(EvaluationSettings, model=model, out=out, **given))


def metrics(out: Path) -> bytes:
    return (out / "metrics.json").read_bytes()


def lines(path: Path) -> list[str]:
    return sorted(path.read_text().splitlines())


class Dying(ScriptedBackend):
    """Dies when it has answered so many requests."""

    def __init__(self, after: int, like: ScriptedBackend) -> None:
        super().__init__(like._name, like._faults, like._memory)
        self._left = after

    @property
    def capacity(self) -> int:
        return 5

    def collect(self) -> list[Response]:
        ready = super().collect()
        if len(ready) > self._left:
            raise EngineError("dead")
        self._left -= len(ready)
        return ready


@pytest.mark.parametrize("condition", CONDITIONS)
def test_the_oracle_takes_a_shortest_way_under_every_condition(tmp_path: Path, condition: str) -> None:
    evaluate(job(tmp_path, "oracle", conditions=(condition,)), QUIET)
    run = load_run(tmp_path)
    assert len(run.samples) == len(run.episodes) > 0
    for sample in run.samples:
        assert (sample.outcome, sample.optimal, sample.steps) == ("solved", True, sample.shortest)
        assert sample.loop is not None
        assert (sample.loop.turns, sample.loop.blocked, sample.loop.progress) == (sample.shortest, 0, 1.0)


@pytest.mark.parametrize("after", [0, 1, 2, 7, 23, 60, 111])
def test_a_run_whose_engine_dies_goes_on_at_the_next_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    evaluate(job(tmp_path / "whole"), QUIET)
    asked: Counter[str] = Counter()
    respond = ScriptedBackend.respond

    def counted(self: ScriptedBackend, request: Request) -> Response:
        asked[request.key] += 1
        return respond(self, request)

    monkeypatch.setattr(ScriptedBackend, "respond", counted)
    with monkeypatch.context() as patch:
        from mgsd_bench.backends import scripted

        opened = scripted.open_backend
        patch.setattr(scripted, "open_backend", lambda config: Dying(after, opened(config)))
        with pytest.raises(UserError) as error:
            evaluate(job(tmp_path / "killed"), QUIET)
        assert error.value.code == Exit.ENGINE
    stored = {key for key, turns in read_turns(tmp_path / "killed").items() for _ in turns}
    assert bool(stored) == (after >= 5)  # five at a time
    with (tmp_path / "killed" / "turns.jsonl").open("a") as stream:
        stream.write('{"episode":"half')
    evaluate(job(tmp_path / "killed"), QUIET)
    assert metrics(tmp_path / "killed") == metrics(tmp_path / "whole")
    for name in ("samples.jsonl", "turns.jsonl"):
        assert lines(tmp_path / "killed" / name) == lines(tmp_path / "whole" / name)
    twice = {key for key, times in asked.items() if times > 1}
    assert len(twice) <= 5  # what was on its way


def test_a_stored_turn_of_another_prompt_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate(job(tmp_path), QUIET)
    (tmp_path / "samples.jsonl").write_text("")
    with monkeypatch.context() as patch:
        patch.setattr("mgsd_bench.runs.closed_loop.opening", lambda *_: "other words")
        with pytest.raises(UserError, match=r"turns\.jsonl: turn 0 of .* answers another prompt") as error:
            evaluate(job(tmp_path), QUIET)
    assert "\n" not in error.value.message
    evaluate(job(tmp_path), QUIET)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda row: {**row, "turn": 7}, "turn 7 of"),
        (lambda row: {**row, "effects": ["won"]}, "checksum"),
        (lambda row: {**row, "episode": "maze/3/9999"}, "checksum"),
        (lambda row: [], "checksum"),
    ],
)
def test_damaged_turns_are_one_line(tmp_path: Path, change: Any, match: str) -> None:
    evaluate(job(tmp_path), QUIET)
    path = tmp_path / "turns.jsonl"
    first, *others = path.read_bytes().splitlines(keepends=True)
    row = json.loads(first)
    if match != "checksum":
        row.pop("crc")
        first = sealed(json.dumps(change(row), separators=(",", ":")).encode())
    else:
        first = json.dumps(change(row), separators=(",", ":")).encode() + b"\n"
    path.write_bytes(b"".join([first, *others]))
    (tmp_path / "samples.jsonl").write_text("")
    with pytest.raises(UserError, match=match) as error:
        evaluate(job(tmp_path), QUIET)
    assert "\n" not in error.value.message
    assert "turns.jsonl:1: " in error.value.message


def test_no_conversation_waits_for_another() -> None:
    """One whose answers come last delays none of the others, though they have many more turns."""
    asked = [episode for episode in episodes(find_suite("smoke")) if episode.level == 4][:8]
    slow = asked[0].id
    ended: list[str] = []

    class Slow(ScriptedBackend):
        @property
        def capacity(self) -> int:
            return 3

        def collect(self) -> list[Response]:
            others = [request for request in self._waiting if request.episode.id != slow]
            taken = others or self._waiting
            self._waiting = [request for request in self._waiting if request not in taken]
            return [self.respond(request) for request in taken]

    prompts = load_prompts("compact", asked, ["act"])
    loop = Loop(LoopSettings(), step_limits(asked, FULL))
    talks = (closed_loop(Question(episode, "act", 0), prompts, 0, loop) for episode in asked)
    ended = [sample.episode for sample in hold(Slow("oracle", Faults()), talks)]
    assert ended[-1] == slow
    assert sorted(ended) == sorted(episode.id for episode in asked)


def test_limits_are_those_of_the_whole_level(tmp_path: Path) -> None:
    suite = find_suite("smoke")
    whole = episodes(suite)
    limits = step_limits(whole, FULL)
    assert limits["maze", 3] == 2 * max(e.shortest for e in whole if (e.task, e.level) == ("maze", 3)) + 8
    evaluate(job(tmp_path, "random", limit=1), QUIET)
    assert load_run(tmp_path).identity["loop"]["limits"]["maze/3"] == limits["maze", 3]
    for sample in load_run(tmp_path).samples:
        assert sample.loop is not None
        assert sample.loop.turns <= limits[sample.task, sample.level]
        assert (sample.outcome == "out_of_steps") <= (sample.loop.turns == limits[sample.task, sample.level])


def test_partial_views_of_a_task_that_has_none_are_refused() -> None:
    suite = find_suite("sokoban-v1")
    with pytest.raises(UserError, match="sokoban has no view fog:1"):
        step_limits(episodes(suite)[:1], View.parse("fog:1"))


@pytest.mark.parametrize("history", ["0", "1", "4", "all"])
@pytest.mark.parametrize("condition", CONDITIONS)
def test_what_a_request_shows(history: str, condition: Any) -> None:
    """Rules first, at most so many past turns, the picture of now last, and no step counter."""
    asked = [episode for episode in episodes(find_suite("smoke")) if episode.shortest >= 6][:3]
    window = None if history == "all" else int(history)
    prompts = load_prompts("compact", asked, [condition])
    loop = Loop(LoopSettings(history=window), step_limits(asked, FULL))
    seen: list[Request] = []

    class Seeing(ScriptedBackend):
        def respond(self, request: Request) -> Response:
            seen.append(request)
            return super().respond(request)

    talks = (closed_loop(Question(episode, condition, 0), prompts, 0, loop) for episode in asked)
    assert all(sample.outcome == "solved" for sample in hold(Seeing("oracle", Faults()), talks))
    for request in seen:
        assert request.moment is not None
        number, task = int(request.key.rpartition("#")[2]), get_task(request.episode.task)
        past = number if window is None else min(number, window)
        assert [turn.role for turn in request.turns] == ["user", "assistant"] * past + ["user"]
        limit = loop.limits[request.episode.task, request.episode.level]
        assert request.turns[0].text.startswith(opening(prompts, request.episode, condition, loop.settings, limit))
        assert all(turn.image is None for turn in request.turns if turn.role == "assistant")
        now = task.state_at(request.episode.state, request.moment.trail[-1])
        last = request.turns[-1]
        if condition == "act-symbolic":
            assert not request.images
            assert last.text.endswith(task.describe(now))
        elif condition == "act":
            assert last.image is not None
            shown = replace(request.episode, state=now).draw().rgb()
            assert (last.image() == shown).all()
            assert len(request.images) == past + 1
        elif condition == "act-stale":
            assert all((draw() == request.episode.draw().rgb()).all() for draw in request.images)
        else:
            assert len(request.images) == (past == number)
        if number:
            assert "Result of your last step: done." in last.text


def test_recorded_turns_are_answers_too(tmp_path: Path) -> None:
    evaluate(job(tmp_path / "run"), QUIET)
    again = job(tmp_path / "again", str(tmp_path / "run" / "turns.jsonl"), backend="recorded")
    evaluate(again, QUIET)
    assert metrics(tmp_path / "again") == metrics(tmp_path / "run")


def test_a_greedy_model_that_can_only_repeat_itself_is_stopped_and_scores_the_same() -> None:
    """``straight`` walks into the first wall for ever; stopping it changes no outcome but its name."""
    asked = [episode for episode in episodes(find_suite("smoke")) if episode.task == "maze" and not episode.straight]
    prompts = load_prompts("compact", asked, ["act"])
    limits = step_limits(asked, FULL)

    class Bumping(ScriptedBackend):
        def respond(self, request: Request) -> Response:
            return Response(request.key, "<answer>U</answer>", "stop")

    found = {}
    for stop in (True, False):
        loop = Loop(LoopSettings(history=0, stop_stuck=stop), limits, greedy=True)
        talks = [closed_loop(Question(episode, "act", 0), prompts, 0, loop) for episode in asked]
        found[stop] = {sample.episode: sample for sample in hold(Bumping("oracle", Faults()), talks)}
    for name, stopped in found[True].items():
        whole = found[False][name]
        assert (stopped.outcome == "solved") == (whole.outcome == "solved")
        if stopped.outcome == "stuck":
            assert whole.outcome == "out_of_steps"
            assert stopped.loop is not None
            assert whole.loop is not None
            assert stopped.loop.turns < whole.loop.turns
    assert {sample.outcome for sample in found[True].values()} >= {"stuck"}


def test_three_unreadable_answers_end_an_episode() -> None:
    asked = episodes(find_suite("smoke"))[:1]
    prompts = load_prompts("compact", asked, ["act"])
    loop = Loop(LoopSettings(), step_limits(asked, FULL))

    class Mumbling(ScriptedBackend):
        def respond(self, request: Request) -> Response:
            return Response(request.key, "Well.", self.reason)

    for reason, outcome in (("stop", "no_answer"), ("length", "truncated")):
        backend = Mumbling("oracle", Faults())
        backend.reason = reason  # type: ignore[attr-defined]
        (sample,) = hold(backend, [closed_loop(Question(asked[0], "act", 0), prompts, 0, loop)])
        assert sample.loop is not None
        assert (sample.outcome, sample.loop.turns, sample.loop.unread) == (outcome, 3, 3)


def test_blind_without_feedback_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="act-blind has nothing else to go by"):
        job(tmp_path, conditions=("act-blind",), feedback="none")


def test_transcripts_are_scored_anew_and_verified(tmp_path: Path) -> None:
    evaluate(job(tmp_path / "run", conditions=CONDITIONS, say_state=True), QUIET)
    assert verify(tmp_path / "run").faults == ()
    found = rescore(load_run(tmp_path / "run"), tmp_path / "again")
    assert (found.outcomes, found.found, found.lost, found.replanned, found.restated) == (0, 0, 0, 0, 0)
    assert metrics(tmp_path / "again") == metrics(tmp_path / "run")
    for name in ("samples.jsonl", "turns.jsonl"):
        assert lines(tmp_path / "again" / name) == lines(tmp_path / "run" / name)
    assert verify(tmp_path / "again").faults == ()


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("text", "<answer>D</answer>", "turn 0 holds other actions than its text"),
        ("text", "Well.", "turn 0 holds other actions than its text"),
        ("actions", ["down"], "turn 0"),
        ("effects", ["blocked"], "turn 0: 'right' is done, not 'blocked'"),
    ],
)
@pytest.mark.parametrize("seal", [False, True])
def test_a_transcript_that_was_changed_does_not_hold(
    tmp_path: Path, field: str, value: Any, found: str, seal: bool
) -> None:
    """Not by its checksum and, where that was made to fit, not by what follows from it."""
    evaluate(job(tmp_path, "oracle", conditions=("act",), say_state=True), QUIET)
    path = tmp_path / "turns.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    row = next(row for row in rows if row["turn"] == 0 and row["actions"] == ["right"] and row["episode"][0] == "m")
    at = rows.index(row)
    row[field] = value
    if seal:
        del row["crc"]
    made = [json.dumps(each, separators=(",", ":")).encode() + b"\n" for each in rows]
    if seal:
        made[at] = sealed(made[at].rstrip())
    path.write_bytes(b"".join(made))
    (fault,) = verify(tmp_path).faults
    if seal:
        assert row["episode"] in fault
        assert found in fault
    else:
        assert f"turns.jsonl:{at + 1}: not a turn (ValueError: its checksum does not fit" in fault


def test_a_sample_without_its_turns_does_not_hold(tmp_path: Path) -> None:
    evaluate(job(tmp_path, conditions=("act",)), QUIET)
    path = tmp_path / "turns.jsonl"
    kept = path.read_bytes().splitlines(keepends=True)
    gone = json.loads(kept[0])["episode"]
    path.write_bytes(b"".join(line for line in kept if json.loads(line)["episode"] != gone))
    (fault,) = verify(tmp_path).faults
    assert gone in fault
    with pytest.raises(UserError, match=rf"turns\.jsonl: {gone}/act/0: .*; copy the whole run folder"):
        rescore(load_run(tmp_path), tmp_path / "again")

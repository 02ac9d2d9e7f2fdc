"""The suites as tasks of inspect_ai: the same questions, and the same worth for the same answers."""

from __future__ import annotations

import inspect
import json
import os
import re
import shlex
import subprocess
import sys
from base64 import b64decode
from collections import Counter
from collections.abc import Callable
from functools import partial
from importlib.metadata import entry_points
from io import BytesIO
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import typer
from PIL import Image
from rich.console import Console

from mgsd_bench.analysis.diagnose import diagnose
from mgsd_bench.analysis.frame import sample_frame
from mgsd_bench.analysis.run import Run, load_run
from mgsd_bench.analysis.summary import summarise
from mgsd_bench.backends import BackendConfig, Response
from mgsd_bench.errors import UserError
from mgsd_bench.evaluation.evaluate import Evaluation, evaluate
from mgsd_bench.prompts import ONE_SHOT, WITH_IMAGE, Condition, OneShot, in_order, load_prompts
from mgsd_bench.records import to_json
from mgsd_bench.runs.conversation import Question, score_response
from mgsd_bench.runs.sample import Sample
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.suite import episodes, subsample
from support.chat_server import KEY, ChatServer, pixels_digest, question
from support.commands import mgsd, run

pytest.importorskip("inspect_ai")

from inspect_ai import Task, eval, list_tasks  # noqa: A004
from inspect_ai.log import EvalLog, EvalSample, read_eval_log
from inspect_ai.model import ChatMessage, Model, ModelOutput, ModelUsage, StopReason, get_model
from inspect_ai.scorer import Score

from mgsd_bench.integrations import inspect_tasks
from mgsd_bench.integrations.inspect_logs import convert, main

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
SMOKE: dict[str, Any] = {"suite": "smoke", "prompts": "compact"}
SMALL: dict[str, Any] = {**SMOKE, "limit": 1}
TASKS = {condition: getattr(inspect_tasks, condition) for condition in in_order(ONE_SHOT)}
Answer = tuple[str, StopReason]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INSPECT_LOG_DIR", str(tmp_path / "logs"))


def turn(messages: list[ChatMessage]) -> str:
    (message,) = messages
    assert message.role == "user"
    return message.model_dump_json(include={"content"})


def playing(made: Task, answer: Callable[[str], Answer]) -> Model:
    """A model that knows each question by its text and picture, and answers by the episode's id."""
    ids = {turn(sample.input): str(sample.id) for sample in made.dataset if not isinstance(sample.input, str)}
    assert len(ids) == len(made.dataset)

    def output(messages: list[ChatMessage], *_: Any) -> ModelOutput:
        text, stop_reason = answer(ids[turn(messages)])
        found = ModelOutput.from_content("scripted", text, stop_reason)
        found.usage = ModelUsage()  # else inspect counts tokens, with a file from the network
        return found

    return get_model("mockllm/model", custom_outputs=output, memoize=False)


def played(condition: Condition, answer: Callable[[str], Answer], *, epochs: int = 1, **choice: Any) -> EvalLog:
    model = playing(TASKS[condition](**choice), answer)
    name = f"mgsd_bench/{condition}"  # found by its entry point
    (log,) = eval(name, model=model, task_args=choice, epochs=epochs, display="none", log_level="error")
    return log


def samples_of(log: EvalLog) -> list[EvalSample]:
    assert log.samples is not None
    return log.samples


def scored(sample: EvalSample) -> tuple[dict[str, Any], Score]:
    found = (sample.scores or {})["simulator"]
    return {**(found.metadata or {}), **dict(found.value)}, found  # type: ignore[arg-type]


def same(inspected: EvalSample, ours: Sample) -> None:
    values, found = scored(inspected)
    for field in ("outcome", "plan", "illegal", "steps", "facts", "finish_reason", "optimal"):
        assert values[field] == getattr(ours, field), field
    assert values["solved"] == (ours.outcome == "solved")
    assert found.explanation


def figures(log: EvalLog) -> dict[str, float]:
    assert log.results is not None
    (row,) = log.results.scores
    assert row.unscored_samples == 0
    return {name: metric.value for name, metric in row.metrics.items()}


def check_figures(log: EvalLog, summary: dict[str, Any]) -> None:
    """What inspect aggregates is what we do, to the last digit of metrics.json."""
    found, (of_it,) = figures(log), summary["conditions"].values()
    for name, key in (("macro", "accuracy"), ("optimal", "optimal_accuracy")):
        expected = of_it["macro"][key]
        assert [found[name], found[f"{name}_low"], found[f"{name}_high"]] == [
            expected["value"], expected["low"], expected["high"],
        ]  # fmt: skip
    assert {task: found[task] for task in of_it["macro"]["tasks"]} == {
        row["task"]: row["accuracy"]["value"] for row in of_it["tasks"]
    }
    solved = sum(row["outcomes"]["solved"] for row in of_it["tasks"])
    assert found["accuracy"] == pytest.approx(solved / summary["samples"], abs=1e-12)
    assert found["errors"] == summary["errors"]


def scripted(name: str, condition: Condition, out: Path, repeats: int = 1) -> Run:
    job = Evaluation(find_suite("smoke"), None, [condition], repeats, "compact", "scripted", BackendConfig(name), out)
    evaluate(job, Console(quiet=True))
    return load_run(out)


@pytest.mark.parametrize("condition", in_order(ONE_SHOT))
def test_scores_and_figures_are_those_of_eval(condition: Condition, tmp_path: Path) -> None:
    run = scripted("faulty:0.03,0.3,0.1", condition, tmp_path / "run")
    ours = {sample.episode: sample for sample in run.samples}
    log = played(condition, lambda episode: (ours[episode].text, "stop"), **SMOKE)
    assert log.status == "success"
    assert len({sample.outcome for sample in run.samples}) > 2
    assert {sample.id for sample in samples_of(log)} == set(ours)
    for sample in samples_of(log):
        same(sample, ours[str(sample.id)])
    check_figures(log, json.loads((run.path / "metrics.json").read_text()))
    about = log.eval.metadata or {}
    assert [about["digest"], about["episodes_digest"]] == [
        run.record["identity"]["digest"], run.record["identity"]["episodes_digest"],
    ]  # fmt: skip
    if condition == "visual":
        of_state = to_json(diagnose([run]).macro.state.f1)
        shown = [figures(log)[name] for name in ("state_f1", "state_f1_low", "state_f1_high")]
        assert shown == [of_state["value"], of_state["low"], of_state["high"]]


@pytest.mark.parametrize("condition", in_order(ONE_SHOT))
def test_the_question_is_that_of_eval(condition: Condition) -> None:
    made = TASKS[condition](**SMALL)
    asked = subsample(episodes(find_suite("smoke")), 1)
    prompts = load_prompts("compact", asked, [condition])
    assert (made.config.max_tokens, made.config.temperature) == (4096, 0.0)
    for episode, sample in zip(asked, made.dataset, strict=True):
        assert sample.id == episode.id
        content = json.loads(turn(sample.input))["content"]
        said, *pictures = [{"text": content}] if isinstance(content, str) else content
        assert said["text"] == prompts.render(episode, condition)
        assert len(pictures) == (condition in WITH_IMAGE)
        for picture in pictures:
            png = b64decode(picture["image"].removeprefix("data:image/png;base64,"))
            assert np.array_equal(np.asarray(Image.open(BytesIO(png))), episode.shown(256))


HOSTILE = [
    "", " ", "I would go right, then down.", "<answer>", "<answer></answer>", "<answer>R</answer><answer>D",
    "<think><answer>RRRR</answer>", "</think><answer>DDD</answer>", "<answer>pick drop ↑ Ж</answer>", "\x00\x1b[31m",
    "<answer>" * 3000, "<answer>" + "LRUD" * 5000 + "</answer>", "[bold red]</script><img src=x onerror=alert(1)>",
    "{{state}} ${target} %s [](javascript:1)", "hole (1, 1) " * 2000, "\u202e<answer>\u200bR</answer>",
]  # fmt: skip


@pytest.mark.parametrize("condition", ["visual", "perceive"])
def test_any_text_is_worth_what_it_is_to_us(condition: Condition) -> None:
    asked = {episode.id: episode for episode in episodes(find_suite("smoke"))}
    ends: list[StopReason] = ["stop", "max_tokens", "model_length", "unknown"]
    answers: dict[str, Answer] = {
        name: (HOSTILE[i % len(HOSTILE)], ends[i // len(HOSTILE) % len(ends)]) for i, name in enumerate(asked)
    }
    log = played(condition, answers.__getitem__, **SMOKE)
    for sample in samples_of(log):
        text, end = answers[str(sample.id)]
        reason: Any = "length" if end in ("max_tokens", "model_length") else "stop"
        response = Response("", text, reason)
        same(sample, score_response(Question(asked[str(sample.id)], condition, 0), "", response))
    outcomes = Counter(scored(sample)[0]["outcome"] for sample in samples_of(log))
    assert outcomes["truncated"] >= len(HOSTILE) / 2
    assert outcomes["no_answer"] >= len(HOSTILE) / 2


def test_what_failed_stays_in_the_denominator() -> None:
    made = inspect_tasks.direct(**SMALL)
    plans = {str(sample.id): str(sample.target) for sample in made.dataset}
    ends: dict[str, StopReason] = dict(zip(list(plans)[1:], ("content_filter", "tool_calls"), strict=False))

    def answer(episode: str) -> Answer:
        if episode not in list(plans)[:1]:
            return f"<answer>{plans[episode]}</answer>", ends.get(episode, "stop")
        raise RuntimeError("the provider is on fire")

    log = played("direct", answer, **SMALL)
    assert log.status == "error"
    found = figures(log)
    assert (found["errors"], found["accuracy"]) == (3, 9 / 12)
    outcomes = [scored(sample)[0] for sample in samples_of(log)]
    assert Counter(one["outcome"] for one in outcomes) == {"solved": 9, "error": 3}
    assert all((one["error"] is None) == (one["outcome"] != "error") for one in outcomes)
    (failed,) = [sample for sample in samples_of(log) if sample.error]
    assert "on fire" in failed.error.message  # type: ignore[union-attr]


def test_epochs_are_repeats(tmp_path: Path) -> None:
    run = scripted("random", "visual", tmp_path / "run", repeats=3)
    left: dict[str, list[str]] = {}
    for sample in run.samples:
        left.setdefault(sample.episode, []).append(sample.text)
    log = played("visual", lambda episode: (left[episode].pop(), "stop"), epochs=3, **SMOKE)
    assert len(samples_of(log)) == len(run.samples)
    check_figures(log, json.loads((run.path / "metrics.json").read_text()))
    asked = {episode.id: episode for episode in episodes(find_suite("smoke"))}
    again = [
        score_response(
            Question(asked[str(sample.id)], "visual", sample.epoch - 1), "",
            Response("", sample.output.completion, "stop"),
        )
        for sample in samples_of(log)
    ]  # fmt: skip
    check_figures(log, summarise(sample_frame(again)).to_json())
    words = convert([Path(log.location)], tmp_path / "answers.jsonl")
    mgsd(*words[1:], "--out", str(tmp_path / "back"))
    check_figures(log, json.loads((tmp_path / "back" / "metrics.json").read_text()))


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"suite": "none"}, r"^-T suite=none: unknown suite, and no such file or folder; choose from mgsd-v1"),
        ({"tasks": "chess"}, r"^-T tasks=chess: not in suite mgsd-v1"),
        ({"levels": ["3", "x"]}, r"^-T levels=3,x: levels are whole numbers"),
        ({"levels": 99}, r"^-T levels=99: not in suite"),
        ({"limit": 0}, r"^-T limit=0: must be at least 1"),
        ({"limit": "many"}, r"^-T limit=many: must be a whole number"),
        ({"prompts": "none"}, r"^-T prompts=none: no such folder"),
        ({"suite": "paper"}, r"name it with -T data_root=DIR"),
        ({"data_root": "."}, r"^-T data_root: suite mgsd-v1 is made"),
        ({"limt": 3}, r"^-T limt: these tasks have no such option"),
    ],
)
def test_a_mistake_is_one_line(choice: dict[str, Any], message: str) -> None:
    with pytest.raises(Exception, match=message) as raised:
        eval("mgsd_bench/visual", model="mockllm/model", task_args=choice, display="none")
    assert type(raised.value).__name__ == "ClickException"
    assert "\n" not in str(raised.value)


@pytest.mark.data
def test_a_suite_of_somebody_else(data_root: Path) -> None:
    choice = {"suite": "paper", "data_root": str(data_root), "limit": 1, "image": "original", "prompts": "compact"}
    made = inspect_tasks.visual(**choice)
    plans = {str(sample.id): str(sample.target) for sample in made.dataset}
    log = played("visual", lambda episode: (f"<answer>{plans[episode]}</answer>", "stop"), **choice)
    assert figures(log)["macro"] == 1.0
    assert len(samples_of(log)) == len(plans) > 0


# ---- the command line, and back again


def command(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, env={**os.environ, **env}, check=False)


@pytest.mark.parametrize("display", ["plain", "none"])
def test_a_mistake_is_one_line_on_the_command_line_too(display: str) -> None:
    options = ("--model", "mockllm/model", "-T", "suite=none", "--display", display)
    refused = command(str(Path(sys.executable).parent / "inspect"), "eval", "mgsd_bench/visual", *options)
    assert refused.returncode == 1
    (line,) = (refused.stdout + refused.stderr).splitlines()
    assert line.startswith("Error: -T suite=none: unknown suite, and no such file or folder; choose from mgsd-v1")


def last_log(folder: Path) -> Path:
    return max(folder.glob("*.eval"), key=lambda path: path.stat().st_mtime_ns)


def test_from_the_command_line_and_back_to_a_run(tmp_path: Path) -> None:
    pytest.importorskip("openai")
    few = subsample(episodes(find_suite("smoke")), 2)
    few = [episode for episode in few if episode.task == "maze" and episode.level in (3, 5)]
    plans = {pixels_digest(episode.shown(256)): episode.plan for episode in few}
    refused = {pixels_digest(few[0].shown(256))}

    def answer(body: dict[str, Any]) -> Any:
        _, picture = question(body["messages"])
        assert body["max_tokens"] == 4096
        if picture in refused:
            return 400, {}, b'{"error": {"message": "too bad"}}'
        return f"<answer>{','.join(plans[picture])}</answer>"  # a picture that is not ours is a KeyError

    logs = tmp_path / "logs"
    bin_inspect = str(Path(sys.executable).parent / "inspect")
    with ChatServer(answer) as server:
        env = {"LOCAL_API_KEY": KEY, "LOCAL_BASE_URL": server.url}
        asked = command(
            bin_inspect, "eval", "mgsd_bench/visual", "--model", "openai-api/local/fake", "-T", "suite=smoke",
            "-T", "tasks=maze", "-T", "levels=3,5", "-T", "limit=2", "-T", "prompts=compact", "--display", "plain",
            **env,
        )  # fmt: skip
        assert asked.returncode == 0, asked.stdout + asked.stderr
        first = read_eval_log(str(last_log(logs)))
        assert first.status == "error"
        assert (figures(first)["accuracy"], figures(first)["errors"]) == (3 / 4, 1)
        assert len(server.bodies) == 4

        refused.clear()
        (in_process,) = entry_points(group="console_scripts", name="inspect")
        run(in_process.load(), "inspect", "eval-retry", str(last_log(logs)), "--display", "plain", **env)
        assert len(server.bodies) == 5  # only what had failed
    second = read_eval_log(str(last_log(logs)))
    assert (second.status, figures(second)["macro"], figures(second)["errors"]) == ("success", 1.0, 0)

    for log, solved in ((first, 3), (second, 4)):
        out, location = tmp_path / f"fake-{solved}.jsonl", log.location.removeprefix("file://")
        to_score = shlex.split(run(partial(typer.run, main), "inspect_answers", location, "--out", str(out)))
        assert to_score[:2] == ["mgsd-bench", "score"]
        run_folder = tmp_path / f"run-{solved}"
        mgsd(*to_score[1:], "--out", str(run_folder), code=0 if solved == 4 else 5)
        scored_run = load_run(run_folder)
        assert scored_run.record["identity"]["digest"] == (log.eval.metadata or {})["digest"]
        ours = {sample.episode: sample for sample in scored_run.samples}
        for sample in samples_of(log):
            if not sample.error:
                same(sample, ours[str(sample.id)])
        check_figures(log, json.loads((run_folder / "metrics.json").read_text()))


def test_logs_of_several_conditions_make_one_run(tmp_path: Path) -> None:
    def paths(name: Condition, text: str = "<answer>R</answer>", **more: Any) -> Path:
        return Path(played(name, lambda episode: (text, "max_tokens"), **{**SMALL, **more}).location)

    seen, told, other = paths("visual"), paths("symbolic"), paths("direct", limit=2)
    words = convert([seen, told], tmp_path / "fake.jsonl")
    assert shlex.join(words[4:]) == "--condition visual,symbolic --suite smoke --limit 1 --prompts compact"
    rows = [json.loads(line) for line in (tmp_path / "fake.jsonl").read_text().splitlines()]
    assert Counter((row["condition"], row["finish_reason"]) for row in rows) == {
        ("visual", "length"): 12, ("symbolic", "length"): 12,
    }  # fmt: skip
    folder = tmp_path / "run"
    mgsd(*words[1:], "--out", str(folder))
    assert diagnose([load_run(folder)]).conditions == ("symbolic", "visual")
    with pytest.raises(UserError, match=r"a second log of the condition visual"):
        convert([seen, seen], tmp_path / "fake.jsonl")
    with pytest.raises(UserError, match=r"made with other options than"):
        convert([seen, other], tmp_path / "fake.jsonl")
    (tmp_path / "junk.eval").write_text("junk")
    for junk in ("junk.eval", "none.eval", "none.json"):
        with pytest.raises(UserError, match=r"cannot be read as a log of inspect"):
            convert([tmp_path / junk], tmp_path / "fake.jsonl")


def test_the_core_does_not_import_inspect() -> None:
    code = (
        "import mgsd_bench, mgsd_bench.cli, mgsd_bench.evaluation.evaluate, sys; assert 'inspect_ai' not in sys.modules"
    )
    assert command(sys.executable, "-c", code).returncode == 0


def test_the_documentation_names_what_there_is() -> None:
    text = (ROOT / "docs" / "inspect.md").read_text()
    known = set(inspect.signature(inspect_tasks.act).parameters) - {"others"}
    assert set(inspect.signature(inspect_tasks.visual).parameters) - {"others"} < known
    assert set(re.findall(r"-T (\w+)=", text)) <= known
    rows = re.findall(r"^\| (`.*?`) \|", text, re.MULTILINE)
    named = set(re.findall(r"`(\w+)`", " ".join(rows)))
    assert named >= known
    listed = {task.name for task in list_tasks("mgsd_bench/integrations/inspect_tasks.py", root_dir=ROOT)}
    assert set(re.findall(r"mgsd_bench/(\w+) ", text)) <= {*listed, "simulator"}
    assert listed >= set(get_args(OneShot))


def test_without_inspect_a_conversion_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mgsd_bench.integrations.inspect_logs.find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"^inspect_ai is not installed: pip install 'mgsd-bench\[inspect\]'$"):
        convert([tmp_path / "a.eval"], tmp_path / "a.jsonl")


def test_it_is_a_module_too() -> None:
    shown = command(sys.executable, "-m", "mgsd_bench.inspect_answers", "--help")
    assert (shown.returncode, "LOGS" in shown.stdout.upper()) == (0, True)

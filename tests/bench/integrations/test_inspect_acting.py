"""The closed loop as tasks of inspect_ai, and what inspect's own commands make of our tasks."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from base64 import b64decode
from contextlib import suppress
from importlib.metadata import entry_points
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import mgsd_bench as mb
from mgsd_bench.analysis.run import Run
from mgsd_bench.errors import UserError
from mgsd_bench.prompts import load_prompts
from mgsd_bench.prompts.protocol import LoopSettings
from mgsd_bench.runs.closed_loop import Loop, closed_loop
from mgsd_bench.runs.conversation import Question
from mgsd_bench.runs.turns import read_turns
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.suite import find_episode
from mgsd_envs import Illegal, get_task
from support.commands import run

pytest.importorskip("inspect_ai")

from inspect_ai import eval, eval_set, list_tasks, score  # noqa: A004
from inspect_ai.log import EvalLog, EvalSample, read_eval_log
from inspect_ai.util import Store

from mgsd_bench.integrations import inspect_tasks
from mgsd_bench.integrations.inspect_logs import convert
from mgsd_bench.integrations.inspect_messages import chat
from mgsd_bench.integrations.inspect_playing import Played
from support.inspecting import questions, run_task, said, samples_of, scripted_model

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
FILE = ROOT / "mgsd_bench" / "integrations" / "inspect_tasks.py"
NAMES = ("visual", "symbolic", "perceive", "direct", "act", "act_symbolic")
SMALL: dict[str, Any] = {"suite": "smoke", "prompts": "compact", "levels": 3, "limit": 2}
ALWAYS: dict[str, Any] = {**SMALL, "history": "2", "no_stop_stuck": True}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INSPECT_LOG_DIR", str(tmp_path / "logs"))


def asked_by_us(own: Run) -> dict[str, list[str]]:
    """The answers of a run, in their order, by all that was said and shown before each of them."""
    found: dict[str, list[str]] = {}
    episodes, loop = list(own.episodes.values()), LoopSettings.from_json(own.identity["loop"])
    texts = load_prompts("compact", episodes, own.identity["conditions"], say_state=loop.say_state)
    limits = {tuple(place.split("/")): most for place, most in own.identity["loop"]["limits"].items()}
    for turns in read_turns(own.path).values():
        episode = own.episodes[turns[0].episode]
        limit = {(episode.task, episode.level): limits[episode.task, str(episode.level)]}
        question = Question(episode, own.identity["conditions"][0], 0)
        talk = closed_loop(question, texts, 0, Loop(loop, limit))
        request = next(talk)
        for turn in turns:
            found.setdefault(said(chat(request.turns)), []).append(turn.text)
            with suppress(StopIteration):
                request = talk.send(turn.response)
    return found


@pytest.mark.parametrize(("task", "more"), [
    ("act", {"say_state": True}), ("act_symbolic", {"chunk": "plan"}), ("act", {"view": "fog:1", "remember": "all"}),
])  # fmt: skip
def test_what_is_played_is_what_our_runner_plays(task: str, more: dict[str, Any], tmp_path: Path) -> None:
    condition = task.replace("_", "-")
    out = tmp_path / "run"
    settings = {**ALWAYS, "levels": (3,), **more}
    own = mb.evaluate("faulty:0.2,0.4,0.2", backend="scripted", conditions=[condition], out=out, **settings)
    turns = {of_question[0].episode: of_question for of_question in read_turns(out).values()}
    # a question of inspect's that is not one of ours, to the last pixel, is a KeyError
    answers = asked_by_us(own)
    log = run_task(f"mgsd_bench/{task}", lambda asked: answers[asked].pop(0), **ALWAYS, **more)
    assert log.status == "success"
    samples = {sample.episode: sample for sample in own.samples}
    assert len({sample.outcome for sample in own.samples}) > 1
    for sample in samples_of(log):
        mine, found = samples[str(sample.id)], (sample.scores or {})["simulator"]
        about: dict[str, Any] = found.metadata or {}
        for field in ("outcome", "plan", "illegal", "steps", "facts", "form", "finish_reason", "error"):
            assert about[field] == getattr(mine, field), field
        assert mine.loop is not None
        assert about["loop"] == json.loads(json.dumps(mine.loop.to_row()))
        assert found.value == {"solved": mine.outcome == "solved", "optimal": mine.optimal}
        texts = [turn.text for turn in turns[str(sample.id)]]
        assert [message.text for message in sample.messages if message.role == "assistant"] == texts
    assert log.results is not None
    macro = json.loads((own.path / "metrics.json").read_text())["conditions"][condition]["macro"]
    metrics = {name: metric.value for name, metric in log.results.scores[0].metrics.items()}
    for name, key in (("macro", "accuracy"), ("optimal", "optimal_accuracy")):
        assert [metrics[name], metrics[f"{name}_low"], metrics[f"{name}_high"]] == [
            macro[key]["value"], macro[key]["low"], macro[key]["high"],
        ]  # fmt: skip
    assert (log.eval.metadata or {})["digest"] == own.identity["digest"]
    with pytest.raises(UserError, match=rf"a log of {condition}, the closed loop; only answers given at once"):
        convert([Path(log.location)], tmp_path / "answers.jsonl")


@pytest.mark.parametrize(("temperature", "outcome"), [(None, "stuck"), (0.5, "out_of_steps")])
def test_only_a_greedy_model_is_stuck(temperature: float | None, outcome: str) -> None:
    choice = {**SMALL, "tasks": "maze", "limit": 1, "history": 0, "feedback": "none"}

    ids = questions(inspect_tasks.act(**choice))  # without history or feedback the same question comes again
    options = {} if temperature is None else {"temperature": temperature}
    log = run_task("mgsd_bench/act", lambda asked: f"<answer>{wall(ids[asked])}</answer>", options=options, **choice)
    (sample,) = samples_of(log)
    assert scored(sample)["outcome"] == outcome


def wall(episode: str) -> str:
    """A first action that is not possible."""
    found = find_episode(find_suite("smoke"), episode)
    task = get_task(found.task)
    stopped = [a for a in task.actions if isinstance(task.step(found.state, task.start(found.state), a), Illegal)]
    return stopped[0]


def scored(sample: EvalSample) -> dict[str, Any]:
    return (sample.scores or {})["simulator"].metadata or {}


def test_an_episode_whose_request_fails_is_an_error_with_its_turns() -> None:
    choice = {**SMALL, "tasks": "maze", "limit": 1}
    ids = questions(inspect_tasks.act(**choice))

    def answer(asked: str) -> str:
        if asked not in ids:  # a second turn
            raise RuntimeError("the provider is on fire")
        return f"<answer>{wall(ids[asked])}</answer>"

    log = run_task("mgsd_bench/act", answer, **choice)
    (sample,) = samples_of(log)
    assert (log.status, scored(sample)["outcome"], scored(sample)["loop"]["turns"]) == ("error", "error", 1)
    assert sample.error is not None
    assert "on fire" in sample.error.message
    assert log.results is not None
    assert log.results.scores[0].metrics["errors"].value == 1


@pytest.mark.parametrize(("choice", "message"), [
    ({"history": "some"}, r"^-T history=some: must be a whole number of 0 or more, or all$"),
    ({"view": "fog:0"}, r"^-T view=fog:0: must be full, fog:R or window:R"),
    ({"say_state": "yes"}, r"^-T say_state=yes: is neither true nor false$"),
])  # fmt: skip
def test_a_mistake_is_one_line(choice: dict[str, Any], message: str) -> None:
    with pytest.raises(Exception, match=message) as raised:
        eval("mgsd_bench/act", model="mockllm/model", task_args={**SMALL, "levels": None, **choice}, display="none")
    assert type(raised.value).__name__ == "ClickException"


# ---- what a stranger finds in the file, and what inspect's commands make of the tasks


def test_tasks_are_literal_functions_with_plain_defaults() -> None:
    tree = ast.parse(FILE.read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert [function.name for function in functions] == list(NAMES)
    for function in functions:
        (decorator,) = function.decorator_list
        assert ast.unparse(decorator) == "task"
        assert function.args.kwonlyargs == []
        assert len(function.args.defaults) == len(function.args.args)
        assert all(isinstance(default, ast.Constant) for default in function.args.defaults)
        assert {"suite", "tasks", "limit", "repeats"} <= {argument.arg for argument in function.args.args}
    assert {found.name for found in list_tasks(str(FILE.relative_to(ROOT)), root_dir=ROOT)} == set(NAMES)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert any(each.startswith("inspect_ai") for each in project["optional-dependencies"]["inspect"])


def test_nothing_private_of_inspect_is_imported() -> None:
    for path in (*FILE.parent.glob("inspect_*.py"), ROOT / "mgsd_bench" / "inspect_answers.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("inspect_ai"):
                assert not any(part.startswith("_") for name in names for part in name.split(".")), path


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> EvalLog:
    """A log of three epochs with right, wrong and no answers, run by the file's path."""
    choice = {**SMALL, "tasks": "maze,frozenlake", "repeats": 3}
    ids = questions(inspect_tasks.visual(**choice))
    asked = [find_episode(find_suite("smoke"), name) for name in ids.values()]

    def answer(question: str) -> str:
        number = list(ids).index(question)
        episode, stated = asked[number], asked[number - number % 3]
        plan = ",".join(episode.plan) if number % 3 == 0 else wall(episode.id)
        described = episode if number % 3 == 2 else stated
        text = get_task(episode.task).describe(described.state)
        return f"{text}\n```\n<script>alert(1)</script>\n```\n\n# Heading <answer>{plan}</answer>"

    folder = str(tmp_path_factory.mktemp("answered"))
    return run_task(f"{FILE}@visual", answer, options={"log_dir": folder}, **choice)


def test_by_path_repeats_are_epochs(answered: EvalLog) -> None:
    assert (answered.status, answered.eval.task, answered.eval.config.epochs) == ("success", "visual", 3)
    assert len(samples_of(answered)) == 12
    words = convert([Path(answered.location)], Path("answers.jsonl"))
    assert words[-2:] == ["--repeats", "3"]


def test_explanations_show_why_an_answer_failed(answered: EvalLog) -> None:
    shown: dict[str, str] = {}
    for sample in samples_of(answered):
        found = (sample.scores or {})["simulator"]
        shown[scored(sample)["attribution"]] = str(found.explanation)
        for line in str(found.explanation).splitlines():  # what a model says stands in a block of code, or nowhere
            assert line.startswith("    ") or not re.search("script|```|Heading", line)
        for picture in re.findall(r"data:image/png;base64,([^)]*)", str(found.explanation)):
            assert Image.open(BytesIO(b64decode(picture))).size == (160, 160)
    assert shown["solved"].count("data:image/png") == 0
    assert shown["planning"].count("data:image/png") == 1
    wrong = shown.get("both") or shown["perception"]
    assert "| the world | the world that was stated |" in wrong
    assert re.search(r"^\*\*illegal\*\*: action 1, \w+, is a step ", wrong)
    assert re.search(r"^- \d+ stated, but false: \w+ \(\d,\d\)", wrong, re.MULTILINE)
    assert "outcome: illegal" in wrong


def test_rescoring_gives_the_same_scores(answered: EvalLog, tmp_path: Path) -> None:
    (in_process,) = entry_points(group="console_scripts", name="inspect")
    again = tmp_path / "again.eval"
    words = ("score", answered.location, "--scorer", "mgsd_bench/simulator", "--action", "overwrite")
    run(in_process.load(), "inspect", *words, "--output-file", str(again), "--display", "none")
    second = read_eval_log(str(again))
    assert [sample.scores for sample in samples_of(second)] == [sample.scores for sample in samples_of(answered)]
    assert second.results is not None and answered.results is not None  # noqa: PT018
    assert second.results.scores[0].metrics == answered.results.scores[0].metrics


def test_rescoring_reads_turns_again(tmp_path: Path) -> None:
    log = run_task("mgsd_bench/act", lambda asked: "<answer>L</answer>", **{**SMALL, "tasks": "maze"})
    again = score(log, inspect_tasks.simulator(), action="overwrite", display="none")
    assert [sample.scores for sample in samples_of(again)] == [sample.scores for sample in samples_of(log)]
    with pytest.raises(ValueError, match="not played by the solver mgsd_bench/play"):
        Played.kept(Store())


def test_a_set_of_evaluations(tmp_path: Path) -> None:
    choice = {**SMALL, "tasks": "maze", "limit": 1}
    made = [inspect_tasks.symbolic(**choice), inspect_tasks.direct(**choice)]
    (sample,) = made[0].dataset
    model = scripted_model(lambda asked: f"<answer>{sample.target}</answer>")
    done, logs = eval_set(made, log_dir=str(tmp_path / "set"), model=model, display="none")
    assert done
    assert {log.eval.task for log in logs} == {"mgsd_bench/symbolic", "mgsd_bench/direct"}
    assert [log.results.scores[0].metrics["macro"].value for log in logs if log.results] == [1.0, 1.0]

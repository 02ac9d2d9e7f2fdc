"""Every command with a task of somebody else's; ``tests/project/test_plugin.py`` runs this where one is installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

import mgsd_bench.suites.suite as suites
from mgsd_baselines.data.examples import KINDS, make_example
from mgsd_bench.answers.plans import write_plan
from mgsd_bench.answers.reader import parse_answer
from mgsd_bench.api import diagnose
from mgsd_bench.prompts import CONDITIONS, load_prompts
from mgsd_bench.suites.choose import choose_suite
from mgsd_bench.suites.settings import SuiteSettings
from mgsd_envs import Episode, generate, get_task
from mgsd_envs.testing import check_task
from support.commands import mgsd
from support.plugins import EXAMPLE, SMALL

SUITE = str(EXAMPLE / "suite.yaml")
ASK = ("--backend", "scripted", "--suite", SUITE)
PLANTED = {"misread": 0.1, "misplanned": 0.2, "unreadable": 0.05}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("walk")


@pytest.fixture(scope="module")
def runs(folder: Path) -> Path:
    for model in ("oracle", "random", "straight"):
        mgsd("eval", "--model", model, *ASK, "--limit", "20", "--out", str(folder / model))
    mgsd("diagnose", "--model", "faulty:0.1,0.2,0.05", *ASK, "--out", str(folder / "faulty"))
    return folder


@pytest.fixture(scope="module")
def episodes() -> list[Episode]:
    return list(generate(get_task("keydoor"), 5, 20, split="train", stream="walk"))


def metrics(run: Path) -> dict[str, float]:
    conditions = json.loads((run / "metrics.json").read_text())["conditions"]
    return {name: value["macro"]["accuracy"]["value"] for name, value in conditions.items()}


def test_contract() -> None:
    check_task(get_task("keydoor"), states=4)


def test_tasks() -> None:
    assert "keydoor" in mgsd("tasks")


def test_generate(folder: Path) -> None:
    mgsd("generate", "made", "--tasks", "keydoor", "--count", "3", "--split", "test", cwd=folder)
    lines = (folder / "made" / "episodes.jsonl").read_text().splitlines()
    assert [json.loads(line)["task"] for line in lines] == ["keydoor"] * 9
    assert len(list((folder / "made" / "images").glob("keydoor_*.png"))) == 9
    shown = mgsd("generate", "train", "--tasks", "keydoor", "--count", "3", cwd=folder)
    assert "9 episodes" in shown


def test_show(folder: Path) -> None:
    shown = mgsd("show", "keydoor/4/0000", "--suite", SUITE)
    assert "W wall" in shown
    assert "solved; shortest" in shown
    assert "illegal (" in mgsd("show", "keydoor/4/0001", "--suite", SUITE, "--plan", without_take())
    mgsd("show", "keydoor/4/0000", "--suite", SUITE, "--out", "show.png", cwd=folder)
    assert Image.open(folder / "show.png").size == (512, 512)


def without_take() -> str:
    episode = suites.find_episode(choose_suite(SuiteSettings(suite=SUITE)), "keydoor/4/0001")
    return write_plan(tuple(action for action in episode.plan if action != "take"))


def test_eval(runs: Path) -> None:
    assert metrics(runs / "oracle") == {"visual": 1.0}
    assert metrics(runs / "random")["visual"] < 0.2
    assert metrics(runs / "straight") == {"visual": 0.0}


def test_planted_faults_are_recovered(runs: Path) -> None:
    diagnosis = diagnose(runs / "faulty")
    for name, planted in PLANTED.items():
        estimate = getattr(diagnosis.macro.faults, name)
        assert estimate.low <= planted <= estimate.high, name


def test_verify_and_rescore(runs: Path) -> None:
    mgsd("verify", str(runs / "faulty"))
    mgsd("score", "--rescore", str(runs / "faulty"), "--out", str(runs / "again"))
    assert metrics(runs / "again") == metrics(runs / "faulty")


def test_report(runs: Path) -> None:
    mgsd("report", "oracle", "random", "--out", "report.md", cwd=runs)
    assert "keydoor" in (runs / "report.md").read_text()
    mgsd("report", "faulty", "--out", "report.html", cwd=runs)
    page = (runs / "report.html").read_text()
    assert '"no_key"' in page or '"locked"' in page


def test_compare(runs: Path) -> None:
    assert "keydoor" in mgsd("compare", "oracle", "random", cwd=runs)


def test_gate(runs: Path) -> None:
    (runs / "policy.yaml").write_text("metrics: {e2e: 10}\nlimits: {min_episodes: 20}\n")
    mgsd("baseline", "save", "faulty", "door", "--dir", "baselines", cwd=runs)
    same = ("gate", "--baseline", "door", "--dir", "baselines", "--policy", "policy.yaml")
    assert "PASS" in mgsd(*same, "--candidate", "faulty", cwd=runs)
    worse = ("--model", "faulty:0.5,0.8,0.3", *ASK, "--condition", "visual,symbolic,perceive")
    mgsd("eval", *worse, "--out", "worse", cwd=runs)
    assert "FAIL" in mgsd(*same, "--candidate", "worse", cwd=runs, code=1)


def test_training(folder: Path) -> None:
    pytest.importorskip("torch")
    shown = mgsd("train", str(EXAMPLE / "recipe.yaml"), "--dry-run", *SMALL, "--out", "train", cwd=folder)
    assert "keydoor 4" in shown


def test_training_rows(episodes: list[Episode]) -> None:
    task = get_task("keydoor")
    prompts = load_prompts("default", episodes, CONDITIONS)
    for episode in episodes:
        for kind in KINDS:
            row = make_example(kind, episode, prompts, picture=episode)
            assert len(row.to_trl(64)["images"]) == (row.picture is not None)
            if kind in CONDITIONS and kind != "perceive":
                assert parse_answer(row.completion, task).plan == episode.plan
            if kind in ("visual", "perceive"):
                assert parse_answer(row.completion, task).facts == task.facts(episode.state)
        asked = make_example("questions", episode, prompts)
        assert task.parse(asked.completion) == task.facts(episode.state)
        route = make_example("visual", episode, prompts).completion.splitlines()[-2]
        assert f"Route: ({episode.state.player[0]},{episode.state.player[1]}) " in route
        assert " TAKE " in route


def test_inspect(folder: Path) -> None:
    pytest.importorskip("inspect_ai")
    from inspect_ai import eval as inspect_eval
    from inspect_ai.model import ModelOutput, ModelUsage, get_model

    from mgsd_bench.integrations import inspect_tasks

    made = inspect_tasks.visual(suite=SUITE, levels=4, limit=5)
    outputs = []
    for sample in made.dataset:
        outputs.append(ModelOutput.from_content("mockllm/model", f"<answer>{sample.target}</answer>"))
        outputs[-1].usage = ModelUsage()  # else inspect counts tokens, with a file from the network
    model = get_model("mockllm/model", custom_outputs=outputs, memoize=False)
    options = {"log_dir": str(folder / "logs"), "display": "none", "max_connections": 1, "max_samples": 1}
    (log,) = inspect_eval(made, model=model, **options)
    assert log.status == "success", log.error
    assert log.results.scores[0].metrics["accuracy"].value == 1.0


def test_gymnasium() -> None:
    gymnasium = pytest.importorskip("gymnasium")
    env = gymnasium.make("mgsd_envs.gym:MGSD/KeyDoor-v0", level=4, observation="symbolic", render_mode="ansi")
    seen, _ = env.reset(seed=0)
    assert seen.shape == (4, 4, 5)
    for action in get_task("keydoor").solve(env.unwrapped.episode.state):
        _, reward, terminated, *_ = env.step(get_task("keydoor").actions.index(action))
    assert (reward, terminated) == (1.0, True)
    pytest.importorskip("minigrid")
    from mgsd_envs.minigrid_bridge import MiniGridView

    view = MiniGridView(env)
    seen, _ = view.reset(seed=0)
    assert seen in view.observation_space
    assert seen["mission"].startswith("use the key")

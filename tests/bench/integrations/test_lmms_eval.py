"""The folder for lmms-eval: an answer is worth what it is worth to us, in its own process where it is installed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import mgsd_bench as mb
from mgsd_bench.analysis.diagnose import diagnose
from mgsd_bench.analysis.run import Run
from mgsd_bench.integrations.lmms_eval import utils
from mgsd_bench.prompts import ONE_SHOT, WITH_IMAGE, load_prompts
from mgsd_bench.records import to_json
from support.chat_server import ChatServer, pixels_digest, question
from support.commands import mgsd

datasets = pytest.importorskip("datasets")

pytestmark = pytest.mark.slow

FOLDER = Path(utils.__file__).parent
CONDITIONS = sorted(ONE_SHOT)
LMMS_EVAL = os.environ.get("LMMS_EVAL") or shutil.which("lmms-eval", path=str(Path(sys.executable).parent))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the file form of a suite, and one of our own runs of the same questions beside it."""
    folder = tmp_path_factory.mktemp("lmms")
    asked = ("--suite", "smoke", "--levels", "5", "--limit", "3", "--prompts", "compact")
    mgsd("generate", "mgsd-parquet", "--format", "parquet", "--condition", ",".join(CONDITIONS), *asked, cwd=folder)
    mb.evaluate(
        "faulty:0.03,0.3,0.1",
        backend="scripted",
        conditions=CONDITIONS,
        out=folder / "run",
        suite="smoke",
        levels=(5,),
        limit=3,
        prompts="compact",
    )
    return folder


@pytest.fixture
def rows(made: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setenv("MGSD_PARQUET", str(made / "mgsd-parquet"))
    return datasets.load_dataset("parquet", data_files=utils.DATA_FILES, cache_dir=str(tmp_path))["test"]


def texts(run: Run) -> dict[tuple[str, str], Any]:
    return {(sample.condition, sample.episode): sample for sample in run.samples}


def check(found: dict[str, Any], ours: Any) -> None:
    """One answer's scores are those of a sample of ours."""
    assert found["solved"]["score"] == (ours.outcome == "solved")
    assert found["optimal"]["score"] == ours.optimal
    assert {each["outcome"] for each in found.values()} == {ours.outcome}
    assert {each["episode"] for each in found.values()} == {ours.episode}


def check_figures(found: Callable[[str, str], float], run: Run) -> None:
    """What is averaged is what we average, to the last digit of our files."""
    about = json.loads((run.path / "metrics.json").read_text())["conditions"]
    for condition in CONDITIONS:
        macro = about[condition]["macro"]
        assert round(found(condition, "solved"), 6) == macro["accuracy"]["value"]
        assert round(found(condition, "optimal"), 6) == macro["optimal_accuracy"]["value"]
    state = to_json(diagnose([run]).macro.state.f1)["value"]
    assert round(found("visual", "state_f1"), 6) == state


def test_the_question_and_the_worth_of_an_answer_are_ours(rows: Any, made: Path) -> None:
    run = mb.load_run(made / "run")
    answers, found = texts(run), {condition: [] for condition in CONDITIONS}  # type: ignore[var-annotated]
    prompts = load_prompts("compact", run.episodes.values(), CONDITIONS)
    for condition in CONDITIONS:
        asked = getattr(utils, condition)(rows)
        assert len(asked) == len(run.episodes)
        for row in asked:
            episode, ours = run.episodes[row["id"]], answers[condition, row["id"]]
            (turn,) = utils.doc_to_messages(row)
            text, *pictures = turn["content"]
            assert text["text"] == prompts.render(episode, condition)  # type: ignore[arg-type]
            shown = [pixels_digest(episode.shown())] if condition in WITH_IMAGE else []

            assert [pixels_digest(np.asarray(picture["url"])) for picture in pictures] == shown
            scores = utils.process_results(row, [ours.text])
            check(scores, ours)
            assert scores.keys() == {each["metric"] for each in config(condition)["metric_list"]}
            assert utils.doc_to_target(row)
            found[condition].append(scores)

    def figure(condition: str, metric: str) -> float:
        macro = utils.macro_state_f1 if metric == "state_f1" else utils.macro
        return macro([scores[metric] for scores in found[condition]])

    check_figures(figure, run)


def config(condition: str) -> Any:
    """A YAML file with what it includes; names of functions are kept as they are."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))  # type: ignore[type-var]
    whole: dict[str, Any] = {}
    for name in ("_mgsd_base_yaml", f"mgsd_{condition}.yaml"):
        whole |= yaml.load((FOLDER / name).read_text(), Loader)
    return whole


def test_files_name_what_there_is(monkeypatch: pytest.MonkeyPatch, made: Path) -> None:
    monkeypatch.setenv("MGSD_PARQUET", str(made / "mgsd-parquet"))
    assert {path.stem for path in FOLDER.glob("*.yaml")} == {f"mgsd_{condition}" for condition in CONDITIONS}
    for path in FOLDER.glob("*yaml"):
        for name in re.findall(r"!function utils\.(\w+)", path.read_text()):
            assert getattr(utils, name) is not None
    assert {config(condition)["task"] for condition in CONDITIONS} == {f"mgsd_{condition}" for condition in CONDITIONS}
    assert Path(mgsd("path", "lmms-eval").strip()) == FOLDER
    assert "did you mean lmms-eval?" in mgsd("path", "lmmseval", code=2)


def test_missing_data_are_one_line(rows: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    some = rows.filter(lambda given: given == "visual", input_columns=["condition"])
    with pytest.raises(
        SystemExit, match=r"mgsd-parquet: no rows of symbolic; make a folder that has some by mgsd-bench"
    ):
        utils.symbolic(some)
    monkeypatch.setenv("MGSD_PARQUET", str(tmp_path / "none"))
    with pytest.raises(
        SystemExit, match=r"none: no \*/test-\*\.parquet; make it by mgsd-bench generate FOLDER --format"
    ):
        _ = utils.DATA_FILES


@pytest.mark.skipif(LMMS_EVAL is None, reason="lmms-eval is not installed here; LMMS_EVAL names its program")
def test_lmms_eval_itself(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = mb.load_run(made / "run")
    prompts = load_prompts("compact", run.episodes.values(), CONDITIONS)
    said = {
        (prompts.render(run.episodes[episode], condition), shown(run, condition, episode)): sample.text
        for (condition, episode), sample in texts(run).items()
    }

    def asked(messages: list[dict[str, Any]]) -> tuple[str, bytes]:
        (turn,) = messages
        if len(turn["content"]) == 1:  # lmms-eval sends a text alone as a list of one part
            turn = {**turn, "content": turn["content"][0]["text"]}
        return question([turn])

    def answer(body: dict[str, Any]) -> str:
        return said[asked(body["messages"])]  # a question that is not ours is a KeyError, and gets no answer

    monkeypatch.setattr("support.chat_server.question", asked)
    with ChatServer(answer) as server:
        done = subprocess.run(
            [
                str(LMMS_EVAL), "eval", "--model", "openai", "--tasks", "mgsd", "--include_path", str(FOLDER),
                "--model_args", f"model_version=fake,base_url={server.url},api_key=none", "--batch_size", "1",
                "--log_samples", "--output_path", str(tmp_path / "out"),
            ],
            cwd=made, capture_output=True, text=True, check=False,
            env={**os.environ, "OPENAI_API_KEY": "none", "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")},
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    answers = texts(run)
    for condition in CONDITIONS:
        (samples,) = (tmp_path / "out").rglob(f"*_samples_mgsd_{condition}.jsonl")
        lines = [json.loads(line) for line in samples.read_text().splitlines()]
        assert {line["solved"]["episode"] for line in lines} == set(run.episodes)
        for line in lines:
            names = [each["metric"] for each in config(condition)["metric_list"]]
            check({name: line[name] for name in names}, answers[condition, line["solved"]["episode"]])
    (results,) = (tmp_path / "out").rglob("*_results.json")
    figures = json.loads(results.read_text())["results"]
    check_figures(lambda condition, metric: figures[f"mgsd_{condition}"][f"{metric},none"], run)


def shown(run: Run, condition: str, episode: str) -> bytes:
    return pixels_digest(run.episodes[episode].shown()) if condition in WITH_IMAGE else b""

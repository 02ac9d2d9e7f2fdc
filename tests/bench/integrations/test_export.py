"""Results that travel: what is exported says what the run says, and a run that is not what it says is refused."""

from __future__ import annotations

import json
import re
import shutil
from collections import defaultdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import mgsd_bench
from mgsd_bench.analysis.run import Run, load_run
from mgsd_bench.integrations import frame_files
from mgsd_bench.integrations.about_run import model_of
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.suite import episodes
from mgsd_bench.suites.suite_folder import read_episodes
from support import eee_rules
from support.commands import error, mgsd
from support.gating import edit
from support.stored import rewrite

CONDITIONS = ("visual", "symbolic", "perceive", "direct", "act")
DATA = Path(__file__).parents[1] / "runs" / "release-0.1"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("finished") / "run"
    return mgsd_bench.evaluate(
        model="faulty:0.1,0.2,0.2", backend="scripted", suite="smoke", limit=1, conditions=CONDITIONS, out=out
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of all of a suite."""
    out = tmp_path_factory.mktemp("whole") / "run"
    return mgsd_bench.evaluate(
        model="noisy-planning:0.3", backend="scripted", suite="smoke", conditions=["visual", "symbolic"], out=out
    )


@pytest.fixture(scope="module")
def record(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[eee_rules.Aggregate, Any]:
    out = tmp_path_factory.mktemp("eee")
    mgsd("export", str(finished.path), "--format", "eee", "--out", str(out))
    return eee_rules.read(out)


@pytest.fixture
def run(finished: Run, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished.path, tmp_path / "run"))


def test_figures_are_those_of_the_run(finished: Run, record: Any) -> None:
    figures = {result.evaluation_result_id: result.score_details for result in record[0].evaluation_results}
    diagnosis = mgsd_bench.diagnose(finished)
    for name, found in (("e2e", diagnosis.macro.e2e), ("plan_on_gt", diagnosis.macro.plan_on_gt)):
        uncertainty = figures[name].uncertainty
        interval = uncertainty.confidence_interval
        assert (figures[name].score, interval.lower, interval.upper) == (found.value, found.low, found.high)
        assert uncertainty.num_samples == found.n
    state = diagnosis.tasks["maze"].state
    assert state is not None
    assert figures["state_f1/maze"].score == state.f1.value
    names = {name.partition("/")[0] for name in figures}
    assert names == {"e2e", "state_f1", "plan_on_gt", "perceive_f1", "direct", "act"}


def test_every_answer_is_there_once_a_metric(finished: Run, record: Any) -> None:
    aggregate, instances = record
    scores = defaultdict(list)
    for each in instances:
        scores[each.evaluation_result_id].append(each.evaluation.score)
    for result in aggregate.evaluation_results:
        if (
            result.metric_config.additional_details["scope"] == "task"
            and result.metric_config.metric_kind == "accuracy"
        ):
            assert np.mean(scores[result.evaluation_result_id]) == pytest.approx(result.score_details.score)
    of_visual = [s for s in finished.samples if s.condition == "visual"]
    assert len(instances) == len(finished.samples) + len(of_visual)
    said = {each.sample_id: each for each in instances if each.evaluation_result_id.startswith("e2e/")}
    for sample in of_visual:
        found = said[sample.episode]
        assert found.output.raw == [sample.text]
        assert found.evaluation.is_correct == (sample.outcome == "solved")
        assert found.metadata["outcome"] == sample.outcome
        assert bool(found.answer_attribution) == (sample.plan is not None)


def test_prompts_are_those_that_were_asked(finished: Run, record: Any) -> None:
    by_id = finished.episodes
    for each in record[1]:
        assert each.sample_hash is None or each.metadata["condition"] == "symbolic"
        if each.interaction_type == "multi_turn":
            continue
        assert each.input.raw.count("{") == 0
        if each.metadata["condition"] == "symbolic":
            told = json.dumps(
                {"raw": each.input.raw, "reference": each.input.reference}, sort_keys=True, separators=(",", ":")
            )
            assert each.sample_hash == sha256(told.encode()).hexdigest()
            assert each.metadata["prompt_sha256"] == sha256(each.input.raw.encode() + b"\0").hexdigest()
        else:
            pixels = by_id[each.sample_id].shown()
            assert each.metadata["picture_sha256"] == sha256(pixels.tobytes()).hexdigest()


def test_a_closed_loop_is_its_whole_dialogue(finished: Run, record: Any) -> None:
    acted = [each for each in record[1] if each.interaction_type == "multi_turn"]
    samples = {sample.episode: sample for sample in finished.samples if sample.condition == "act"}
    assert acted
    for each in acted:
        sample = samples[each.sample_id]
        assert sample.loop is not None
        assert [message.role for message in each.messages] == ["user", "assistant"] * sample.loop.turns
        assert each.evaluation.num_turns == sample.loop.turns
        assert each.messages[-1].content == sample.text
        assert each.input.raw == each.messages[0].content
        assert [message.turn_idx for message in each.messages] == list(range(len(each.messages)))
    later = [message.content for each in acted for message in each.messages[2::2]]
    assert all(text.startswith("Result of your last ") for text in later)


def test_the_same_run_gives_the_same_bytes(finished: Run, tmp_path: Path) -> None:
    written = []
    for name in ("one", "other"):
        out = tmp_path / name
        mgsd("export", str(finished.path), "--format", "eee", "--out", str(out))
        written.append({path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()})
    assert written[0] == written[1]
    assert len(written[0]) == 2


def test_what_the_user_says_goes_in(run: Path, tmp_path: Path) -> None:
    said = ("--organization", "A lab", "--relationship", "third_party", "--model-id", "Org/Model-1")
    shown = mgsd("export", str(run), "--format", "eee", "--out", str(tmp_path / "out"), *said, "--dataset", "lab/mgsd")
    assert "--organization" not in shown
    found, _ = eee_rules.read(tmp_path / "out")
    assert found.source_metadata.source_organization_name == "A lab"
    assert (found.model_info.id, found.model_info.developer) == ("Org/Model-1", "Org")
    assert "data/mgsd-bench/Org/Model-1/" in found.detailed_evaluation_results.file_path
    source = found.evaluation_results[0].source_data
    assert isinstance(source, eee_rules.HubData)
    assert source.hf_repo == "lab/mgsd"


def test_a_run_of_release_0_1_can_leave_home(tmp_path: Path) -> None:
    mgsd("export", str(DATA), "--format", "eee", "--out", str(tmp_path))
    eee_rules.read(tmp_path)


@pytest.mark.parametrize("hostile", ["../../etc/x", "CON", "data", "a:b?", "..", "/"])
def test_no_name_leads_out_of_the_folder(run: Path, tmp_path: Path, hostile: str) -> None:
    edit(run, model=hostile)
    rewrite(run, lambda i, row: row)
    out = tmp_path / "deep" / "out"
    mgsd("export", str(run), "--format", "eee", "--out", str(out))
    eee_rules.read(out)
    assert {path.name for path in tmp_path.iterdir()} == {"run", "deep"}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]


def test_whose_servers_answered(run: Path) -> None:
    def of(backend: str, model: str, described: dict[str, Any]) -> Any:
        edit(run, backend=backend, model=model)
        record = json.loads((run / "run.json").read_text())
        record["sessions"][-1]["backend"] = described
        (run / "run.json").write_text(json.dumps(record))
        found = model_of(load_run(run))
        return found.id, found.owner, found.engine, found.deployment, found.weights

    hub = {"engine": "vllm", "engine_version": "1.2", "model": "Qwen/Q"}
    assert of("vllm", "Qwen/Q", hub) == ("Qwen/Q", "Qwen", ("vllm", "1.2"), "self_deployed", "open_weights")
    folder = {**hub, "model": "/home/x/runs/q"}
    assert of("vllm", "runs/q", folder) == ("q", "unknown", ("vllm", "1.2"), "self_deployed", "unknown")
    here = [{"url": "http://127.0.0.1:8000/v1", "kind": "vllm", "version": "0.9"}]
    assert of("openai", "q", {"servers": here})[2:4] == (("vllm", "0.9"), "self_deployed")
    hosted = [{"url": "https://api.openai.com/v1", "kind": "openai"}]
    assert of("openai", "gpt", {"servers": hosted})[2:4] == ((None, None), "externally_managed")
    assert of("openai", "gpt", {"servers": [{"url": "https://elsewhere/v1"}, 3]})[3] == "unknown"


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_table_is_that_of_to_pandas(
    finished: Run, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_files, "ROWS", 7)
    path = tmp_path / f"table.{kind}"
    assert f"{len(finished.samples)} rows" in mgsd("export", str(finished.path), "--out", str(path))
    wanted = finished.to_pandas()
    wanted["run"] = pd.Categorical([finished.path.name] * len(wanted))
    if kind == "parquet":
        pytest.importorskip("pyarrow")
        found = pd.read_parquet(path)
        assert len(found) == len(wanted) > 7
        assert found["episode"].dtype == "category"
        pd.testing.assert_frame_equal(found, wanted, check_dtype=False, check_categorical=False)
    else:
        assert path.read_text() == wanted.to_csv(index=False, lineterminator="\n")


def test_no_cell_is_a_formula(run: Path, tmp_path: Path) -> None:
    rewrite(run, lambda i, row: {**row, "prompt_digest": "=1+1"} if i == 0 else row)
    mgsd("export", str(run), "--out", str(tmp_path / "t.csv"))
    text = (tmp_path / "t.csv").read_text()
    assert ",'=1+1," in text
    assert ",=1+1" not in text


def test_the_hub_gets_the_figures_that_there_are(whole: Run, tmp_path: Path) -> None:
    words = ("--format", "hf-results", "--dataset", "lab/mgsd")
    mgsd(
        "export",
        str(whole.path),
        *words,
        "--revision",
        "abc",
        "--source-url",
        "https://x.org/r",
        "--out",
        str(tmp_path),
    )
    entries = yaml.safe_load((tmp_path / ".eval_results" / "smoke.yaml").read_text())
    diagnosis = mgsd_bench.diagnose(whole).macro
    assert diagnosis.state is not None
    wanted = {"e2e": diagnosis.e2e, "state_f1": diagnosis.state.f1, "plan_on_gt": diagnosis.plan_on_gt}
    assert {each["dataset"]["task_id"]: each["value"] for each in entries} == {
        name: round(100 * figure.value, 2) for name, figure in wanted.items() if figure is not None
    }
    for each in entries:
        assert set(each) == {"dataset", "value", "date", "source", "evaluation_framework"}
        assert each["dataset"] | {"task_id": ""} == {"id": "lab/mgsd", "task_id": "", "revision": "abc"}
        assert each["source"]["url"] == "https://x.org/r"
        assert each["evaluation_framework"] == "mgsd-bench"
        assert isinstance(each["date"], str)


def test_a_variant_says_what_it_is(tmp_path: Path) -> None:
    words = ("--backend", "scripted", "--model", "oracle", "--suite", "smoke", "--prompts", "compact")
    mgsd("eval", *words, "--out", str(tmp_path / "run"))
    mgsd("export", str(tmp_path / "run"), "--format", "hf-results", "--dataset", "a/b", "--out", str(tmp_path))
    (path,) = (tmp_path / ".eval_results").iterdir()
    assert path.name == "smoke-prompts-compact.yaml"
    entries = yaml.safe_load(path.read_text())
    assert [each["dataset"]["task_id"] for each in entries] == ["e2e", "state_f1"]
    assert {each["notes"] for each in entries} == {"prompts compact"}
    edit(tmp_path / "run", prompts="default")
    assert "its digest is not that of suite smoke with the prompt set default" in error(
        "export", str(tmp_path / "run"), "--format", "hf-results", "--dataset", "a/b", "--out", str(tmp_path / "m")
    )


@pytest.mark.parametrize(
    ("made", "asked", "said"),
    [
        (("--suite", "smoke", "--limit", "2"), ("--limit", "1"), "a leaderboard is of all"),
        (("--tasks", "maze", "--levels", "3", "--count", "2"), (), "of the split train, and a leaderboard is of test"),
        (("--suite", "smoke", "--tasks", "maze", "--levels", "3"), ("--theme", "night"), None),
    ],
)
def test_a_suite_of_ones_own(tmp_path: Path, made: tuple[str, ...], asked: tuple[str, ...], said: str | None) -> None:
    suite, out = str(tmp_path / "suite"), str(tmp_path / "run")
    mgsd("generate", suite, *made)
    mgsd("eval", "--backend", "scripted", "--model", "oracle", "--suite", suite, *asked, "--out", out)
    words = ("export", out, "--format", "hf-results", "--dataset", "a/b", "--out", str(tmp_path))
    if said:
        assert said in error(*words)
        return
    mgsd(*words)
    (path,) = (tmp_path / ".eval_results").iterdir()
    assert path.name == "suite-look-night.yaml"
    assert re.fullmatch(r"6 episodes of maze, digest \w{12}; look night", yaml.safe_load(path.read_text())[0]["notes"])


def refused(run: Path, *words: str, form: str = "csv") -> str:
    out = run.parent / f"out.{form}"
    said = error("export", str(run), "--format", form, "--out", str(out), *words)
    assert not out.is_file()
    assert not [path for path in out.rglob("*") if path.is_file()]
    return said


def change(run: Path, **record: Any) -> None:
    path = run / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **record}))


def test_an_unfinished_run_is_refused(run: Path) -> None:
    change(run, status="interrupted")
    for form in ("csv", "eee"):
        assert "is not finished (interrupted)" in refused(run, form=form)


def test_a_run_that_lost_an_answer_is_refused(run: Path) -> None:
    rewrite(run, lambda i, row: None if i == 3 else row)
    assert "of 60 questions" in refused(run)


def test_a_shard_is_refused(tmp_path: Path) -> None:
    mgsd("eval", "--model", "oracle", "--backend", "scripted", "--suite", "smoke", "--shard", "1/2", "--limit", "1",
         "--out", str(tmp_path))  # fmt: skip
    assert "is a shard; make one run of all shards" in refused(tmp_path / "shard-1-of-2")


def test_other_episodes_than_the_records_are_refused(run: Path) -> None:
    lines = (run / "episodes.jsonl").read_text().splitlines(keepends=True)
    (run / "episodes.jsonl").write_text("".join([*lines[1:], lines[0]]))
    assert "does not hold the episodes of run.json" in refused(run)


def test_other_episodes_than_the_suites_are_refused(run: Path) -> None:
    edit(run, suite="mgsd-v1")
    assert "its digest does not match its suite" in refused(run)
    edit(run, suite="of-my-own")
    mgsd("export", str(run), "--out", str(run.parent / "table.csv"))


@pytest.mark.parametrize("condition", ["symbolic", "act"])
def test_other_prompts_than_were_asked_are_refused(run: Path, condition: str) -> None:
    record = json.loads((run / "run.json").read_text())
    texts = {key: f"{text}!" if key.endswith(f"/{condition}") else text for key, text in record["prompts"].items()}
    change(run, prompts=texts)
    assert "cannot be made again as it was asked" in refused(run, form="eee")


def test_lost_turns_are_refused(run: Path) -> None:
    (run / "turns.jsonl").write_bytes(b"")
    assert "are missing; copy the whole run folder" in refused(run, form="eee")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--dataset OWNER/NAME"),
        (("--dataset", "no"), "--dataset no: write OWNER/NAME"),
        (("--dataset", "a/b"), "a leaderboard is of all"),
        (("--dataset", "a/b", "--source-url", "x"), "--source-url x"),
    ],
)
def test_what_no_leaderboard_takes(run: Path, words: tuple[str, ...], said: str) -> None:
    assert said in refused(run, *words, form="hf-results")


def test_a_run_with_none_of_the_figures(tmp_path: Path) -> None:
    mgsd("eval", "--model", "oracle", "--backend", "scripted", "--suite", "smoke", "--condition", "direct",
         "--limit", "1", "--out", str(tmp_path / "run"))  # fmt: skip
    said = refused(tmp_path / "run", "--dataset", "a/b", form="hf-results")
    assert "has no figure of e2e, state_f1, plan_on_gt" in said


def test_no_known_form(run: Path) -> None:
    assert "choose from eee, hf-results, csv, parquet" in error("export", str(run), "--format", "x", "--out", "y")
    assert "--out y: does not say which format" in error("export", str(run), "--out", "y")


def test_the_suite_of_a_part_is_made_again(finished: Run) -> None:
    """What the check compares with is made from the suite, not read from the run."""
    made = {episode.id for episode in episodes(find_suite("smoke"))}
    assert set(read_episodes(finished.path)) < made


@pytest.mark.parametrize(
    ("identity", "said"),
    [
        ({"limit": "2"}, "run.json is damaged"),
        ({"looks": 3}, "run.json is damaged"),
        ({"loop": {}}, "was not written by this version"),
        ({"theme": "no-such"}, "no-such"),
    ],
)
def test_a_record_that_cannot_be(run: Path, identity: dict[str, Any], said: str) -> None:
    edit(run, **identity)
    assert said in refused(run, form="eee")


def test_a_closed_loop_without_its_limits(run: Path) -> None:
    record = json.loads((run / "run.json").read_text())
    edit(run, loop={**record["identity"]["loop"], "limits": {"maze/x": 3}})
    assert "does not say how the closed loop went" in refused(run, form="eee")


def test_a_run_that_does_not_say_when(run: Path) -> None:
    change(run, sessions=[])
    assert "does not say when" in refused(run, form="eee")
    mgsd("export", str(run), "--out", str(run.parent / "table.csv"))

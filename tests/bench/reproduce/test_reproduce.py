"""Whole tables from a configuration: what is measured, left out and failed, and what stands beside it."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from mgsd_bench.analysis.results import Results, pool
from mgsd_bench.analysis.run import Run
from mgsd_bench.cli import app
from mgsd_bench.errors import UserError
from mgsd_bench.evaluation import evaluate
from mgsd_bench.records import to_json
from mgsd_bench.reproduce import availability
from mgsd_bench.reproduce.config import RowConfig, TableConfig
from mgsd_bench.reproduce.config_file import load_config
from mgsd_bench.reproduce.published import Published, load_published
from mgsd_bench.reproduce.published_comparison import compare_with_published, differences
from mgsd_bench.reproduce.results import RowResult, TableResult
from mgsd_bench.statistics.intervals import Estimate

CONFIG = """
title: A table
models:
  oracle: {backend: scripted, model: oracle}
  blind: {label: "blind | plan", backend: scripted, model: straight, published: GPT-5}
  told: {label: told, text_of: blind}
  noisy-0: {backend: scripted, model: "noisy-planning:0.5", sampling: {seed: 0}}
  noisy-1: {backend: scripted, model: "noisy-planning:0.5", sampling: {seed: 1}}
  noisy: {label: both, finished: "runs/small/smoke/noisy-*"}
  none: {label: nothing, finished: runs/nowhere/*, made_by: make them}
  broken: {backend: scripted, model: nonsense}
  cached: {backend: hf, model: nobody/no-such-model}
  folder: {backend: hf, model: a/b/c, made_by: mgsd-bench train c}
  tiny: {backend: hf, model: tiny-nothing}
  api: {backend: openai, model: m, engine: {key_env: NO_SUCH_KEY}, published: Gemini-3-Flash}
  told-by-api: {text_of: api}
defaults: {conditions: [visual, symbolic], prompts: compact}
figures: false
html: false
tables:
  first:
    suite: smoke
    tasks: [frozenlake]
    levels: [3, 4]
    limit: 2
    rows: [oracle, blind, told]
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(availability, "find_spec", lambda _: object())
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    path = tmp_path / "small.yaml"
    path.write_text(CONFIG)
    return path


def table1(config: Path, *arguments: str, code: int = 0) -> str:
    result: Result = CliRunner().invoke(app, ["table1", "--config", str(config), *arguments])
    if isinstance(result.exception, UserError):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


def with_rows(*rows: str) -> str:
    return f"tables.first.rows=[{', '.join(rows)}]"


def test_a_report_from_nothing_but_scripted_rows(config: Path, tmp_path: Path) -> None:
    output = table1(config, "--set", "html=true")
    assert "3 rows measured, 0 skipped, 0 failed; report in reports/small/small.md" in output
    out = tmp_path / "reports" / "small"
    text = (out / "small.md").read_text()
    assert "| oracle | 100.0 (34–100) | 100.0 (34–100) | 100.0" in text
    assert "blind \\| plan" in text
    assert "Suite smoke, 4 episodes" in text
    assert r"\begin{tabular}" in (out / "small.tex").read_text()
    rows = list(csv.DictReader((out / "small.csv").read_text().splitlines()))
    assert {row["scope"] for row in rows} == {"level", "task", "macro"}
    assert {row["model"] for row in rows} == {"oracle", "blind | plan", "told"}
    assert "<h2>Tables</h2>" in (out / "first.html").read_text()


def test_a_row_of_text_shows_the_answers_to_the_state_as_text(config: Path, tmp_path: Path) -> None:
    rows = with_rows("misreading", "told")
    changes = "models.misreading={backend: scripted, model: 'noisy-perception:1'}", "models.told.text_of=misreading"
    table1(config, *(word for change in (*changes, rows) for word in ("--set", change)))
    found = csv.DictReader((tmp_path / "reports/small/small.csv").read_text().splitlines())
    macro = {row["model"]: float(row["value"]) for row in found if row["scope"] == "macro"}
    assert macro["misreading"] < macro["told"] == 1.0


def test_the_second_time_nothing_is_asked(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table1(config)
    first = (tmp_path / "reports/small/small.md").read_text()

    def refuse(*_: Any) -> None:
        raise AssertionError("a finished row is asked again")

    monkeypatch.setattr(evaluate, "open_backend", refuse)
    table1(config)
    assert (tmp_path / "reports/small/small.md").read_text() == first


def test_what_is_not_availability_is_named_with_its_reason(config: Path, tmp_path: Path) -> None:
    names = ("oracle", "cached", "folder", "tiny", "api", "told-by-api", "none")
    output = table1(config, "--set", with_rows(*names))
    text = (tmp_path / "reports/small/small.md").read_text()
    for name, reason in {
        "cached": "nobody/no-such-model is not in the local cache",
        "folder": "no checkpoint a/b/c; made by `mgsd-bench train c`; or name a folder with --set models.folder.model",
        "tiny": "no checkpoint ",
        "api": "no key in the environment variable NO_SUCH_KEY",
        "told-by-api": "its answers are those of api, which was skipped",
        "none": "no finished run at runs/nowhere/*; made by `make them`",
    }.items():
        assert f"first/{name}\n  skipped: {reason}" in output
    assert "1 rows measured, 6 skipped, 0 failed" in output
    assert "- **api**: no key in the environment variable NO_SUCH_KEY" in text
    assert "Gemini-3-Flash | DiffThinker (arXiv 2512.24165) | accuracy | frozenlake 3: 100" in text


def test_what_is_not_installed_is_named(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(availability, "find_spec", lambda _: None)
    rows = load_config(str(config), [with_rows("cached", "api")]).tables[0].rows
    assert availability.unavailable_reason(rows[0]) == "torch is not installed: pip install 'mgsd-bench[hf]'"
    assert availability.unavailable_reason(rows[1]) == "httpx is not installed: pip install 'mgsd-bench[openai]'"


def test_models_availability(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_SUCH_KEY", "secret")
    (tmp_path / "a/b/c").mkdir(parents=True)
    folder, api = load_config(str(config), [with_rows("folder", "api")]).tables[0].rows
    assert availability.unavailable_reason(api) is None
    assert availability.unavailable_reason(replace(api, engine={"base_url": ["http://127.0.0.1:8000/v1"]})) is None
    assert "a/b/c holds no finished checkpoint" in str(availability.unavailable_reason(folder))
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "a/b/c" / name).touch()
    assert availability.unavailable_reason(folder) is None


def test_a_row_that_fails_does_not_stop_the_others(config: Path, tmp_path: Path) -> None:
    output = table1(config, "--set", with_rows("broken", "oracle"), code=5)
    assert "1 rows measured, 0 skipped, 1 failed" in output
    text = (tmp_path / "reports/small/small.md").read_text()
    assert "### Failed\n\n- **broken**: --model nonsense: unknown scripted model" in text


def test_external_suites_need_a_folder(config: Path) -> None:
    output = table1(config, "--set", "tables.first.suite=null", "--set", "tables.first.external=paper")
    assert "skipped: test set paper is read from a folder: give --data-root DIR" in output
    assert "0 rows measured, 3 skipped" in output


@pytest.mark.data
def test_with_a_folder_the_external_suite_is_used(config: Path, tmp_path: Path, data_root: Path) -> None:
    change = "tables.first.external=paper"
    table1(config, "--data-root", str(data_root), "--set", change, "--set", "tables.first.levels=[3, 4]")
    assert (tmp_path / "runs/small/paper/blind/run.json").is_file()
    text = (tmp_path / "reports/small/small.md").read_text()
    assert "| blind \\| plan | DiffThinker | frozenlake 3, accuracy | 99.0 |" in text
    assert "other prompts (compact)" in text
    assert "2 of 100 episodes" in text


def test_finished_runs_are_pooled(config: Path, tmp_path: Path) -> None:
    table1(config, "--set", with_rows("noisy-0", "noisy-1"))
    table1(config, "--set", with_rows("noisy"), "--set", "tables.first.layout=summary")
    text = (tmp_path / "reports/small/small.md").read_text()
    assert "| model | runs | n | E2E |" in text
    assert "| both | 2 | 4 |" in text
    assert " ± " in text


def test_finished_runs_of_other_episodes_fail(config: Path) -> None:
    table1(config, "--set", with_rows("noisy-0"))
    output = table1(
        config, "--set", with_rows("oracle", "noisy"), "--set", "tables.first.limit=1",
        "--set", "models.oracle.label=o", "--set", "tables.first.suite=tiny-v1", code=5,
    )  # fmt: skip
    assert "failed: runs/small/smoke/noisy-0: other episodes than runs/small/tiny-v1/oracle" in output


def test_the_interval_of_a_mean_is_the_wider_one() -> None:
    def results(value: float) -> Results:
        cell = Estimate(value, value - 0.1, value + 0.1, 9)
        figures = {"e2e": cell, "gap": cell}
        places: list[tuple[str | None, int | None]] = [("maze", 3), ("maze", None), (None, None)]
        return Results("m", "s", dict.fromkeys(places, figures), dict.fromkeys(places, 9))

    metrics = ("e2e", "gap", "plan_on_gt")
    same = pool([results(0.5)] * 3, metrics)
    assert (same.runs, to_json(same.estimate("e2e"))) == (3, to_json(Estimate(0.5, 0.4, 0.6, 9, 0.0)))
    apart = pool([results(0.3), results(0.5), results(0.7)], metrics)
    half = 4.302653 * 0.2 / 3**0.5  # t with 2 degrees of freedom
    gap, e2e = (apart.estimate(name, "maze", 3) for name in ("gap", "e2e"))
    assert gap is not None
    assert e2e is not None
    assert gap.low == pytest.approx(0.5 - half, abs=1e-6)
    assert e2e.high == pytest.approx(0.5 + half, abs=1e-6)
    assert pool([results(0.3), results(0.3)], metrics).estimate("plan_on_gt") is None


def published(**changes: Any) -> Published:
    figure = next(f for f in load_published() if f.model == "Qwen3-VL-8B" and f.level == 3)
    return replace(figure, **{"images": 256, "temperature": 0.0, "max_tokens": 4096, **changes})


def measured(**identity: Any) -> RowResult:
    row = RowConfig("r", "r", "vllm", "m", "authors", "2512.24165", ("visual",), 1, None, (1, 2), {}, None, None, None,
              "Qwen3-VL-8B", None)  # type: ignore[arg-type]  # fmt: skip
    sampling = {"temperature": 0.0, "max_tokens": 4096}
    record = {"identity": {"suite": "paper", "theme": "classic", "sampling": sampling, **identity}}
    figures = dict.fromkeys(("e2e", "optimal"), Estimate(0.7, 0.6, 0.8, 100))
    places: list[tuple[str | None, int | None]] = [("frozenlake", 3), ("frozenlake", None), (None, None)]
    results = Results("r", "paper", dict.fromkeys(places, figures), dict.fromkeys(places, 100))
    return RowResult(row, (Run(Path(), record, []),), results)


def test_the_same_protocol() -> None:
    assert differences(published(), measured(), 100) == []
    assert differences(published(task=None, level=None, test_set="paper"), measured(), 2003) == []


@pytest.mark.parametrize(
    ("figure", "row", "reason"),
    [
        ({"metric": None}, {}, "the paper does not say which accuracy it is"),
        ({"test_set": "a"}, {}, "other episodes (diffthinker-frozenlake, published on a)"),
        ({}, {"suite": "mgsd-v1"}, "other episodes (mgsd-v1, published on diffthinker-frozenlake)"),
        ({"level": None}, {}, "100 of 600 episodes"),
        ({"temperature": None}, {}, "temperature of the published figure is not known"),
        ({"max_tokens": 2048}, {}, "most new tokens 4096, published with 2048"),
        ({"arxiv": "2606.06076"}, {}, "other prompts (authors)"),
        ({}, {"theme": "minigrid"}, "pictures in the look minigrid"),
    ],
)  # fmt: skip
def test_another_protocol(figure: dict[str, Any], row: dict[str, Any], reason: str) -> None:
    assert differences(published(**figure), measured(**row), 100) == [reason]


def test_other_weights_and_failed_requests_are_told() -> None:
    of = measured()
    other = replace(of, row=replace(of.row, differs="other weights"), errors=3)
    assert differences(published(), other, 100) == ["other weights", "3 requests failed"]


def test_the_difference_has_the_interval_of_the_measured_figure() -> None:
    table = TableConfig("t", "t", (), "smoke", None, "classic", (), (), None, (), "levels", ("e2e",))
    (line,) = compare_with_published(TableResult(table, None, (measured(),)), [published(value=64.0)])
    assert to_json(line.difference) == {"value": 0.06, "low": -0.04, "high": 0.16, "n": 100}
    assert line.same_protocol
    both = compare_with_published(TableResult(table, None, (measured(),)), [published(metric=None)])
    assert [line.metric for line in both] == ["e2e", "optimal"]
    assert not any(line.same_protocol for line in both)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("tables.first.suite=nothing", "tables.first.suite: 'nothing' is not known; choose from mgsd-v1"),
        ("tables.first.suite=null", "row oracle is to be asked; name a suite"),
        ("tables.first.rows=[orakel]", "tables.first.rows: 'orakel' is not known; did you mean oracle?"),
        ("tables.first.rows=[]", "needs at least one row"),
        ("tables.first.rows=[told]", "told shows answers of blind, which is no row of this table"),
        ("tables.first.layout=wide", "choose from levels, tasks, measures, summary"),
        ("tables.first.measures=[f2]", "'f2' is not known"),
        ("tables.first.measures=[gap]", "use layout measures or summary"),
        ("tables.first.colour=red", "tables.first.colour: no such key"),
        ("tables.second.rows=[oracle]", "tables.second is not there"),
        ("models.orakel.model=x", "models.orakel is not there; did you mean oracle?"),
        ("models.oracle.backend=vlm", "models.oracle.backend: 'vlm' is not known"),
        ("models.oracle.text_of=blind", "models.oracle: needs one of model, text_of and finished"),
        ("models.oracle.sampling={top_p: 2}", "2 is not a number between 0 and 1"),
        ("models.oracle.prompts=default", "are asked with different prompts"),
        ("models.oracle.conditions=[symbolic]", "need visual"),
        ("models.oracle.conditions=[visual, act]", "'act' is not known; choose from visual, symbolic"),
        ("defaults.conditions=[visual]", "is not asked under the condition symbolic"),
        ("defaults.pixels=[2, 1]", "the smallest and the largest area"),
        ("defaults.colour=red", "defaults.colour: no such key"),
        ("color=red", "color: no such key"),
        (f"title={'x' * 201}", "is not a text of at most 200 characters"),
        (f"models.oracle.label={'x' * 201}", "is not a text of at most 200 characters"),
    ],
)
def test_a_wrong_configuration_is_one_line(config: Path, change: str, said: str) -> None:
    with pytest.raises(UserError) as error:
        load_config(str(config), [change])
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_wrong_names_are_one_line(config: Path) -> None:
    with pytest.raises(UserError, match="no table that comes with the project; did you mean table1"):
        load_config("table2")
    with pytest.raises(UserError, match=r"none\.yaml: no such file"):
        load_config("none.yaml")
    with pytest.raises(UserError, match="--rows orakel: no row of small"):
        table1(config, "--rows", "orakel")


@pytest.mark.parametrize(
    ("name", "tables"),
    [
        ("table1", ["tiny", "paper"]),
        ("diagnostics", ["tiny", "paper"]),
        ("ablations", ["tiny", "paper"]),
        ("tiny", ["family"]),
    ],
)
def test_shipped_configurations(name: str, tables: list[str]) -> None:
    report = load_config(name)
    assert [table.name for table in report.tables] == tables
    known = {figure.model for figure in load_published()}
    for row in (row for table in report.tables for row in table.rows):
        assert row.published is None or row.published in known
        assert not row.name.startswith("tiny") or row.published is None


def test_the_authors_own_prompts_can_be_named() -> None:
    changes = ["tables.paper.settings.prompts=authors", 'tables.paper.settings.prompts_of="2606.06076"']
    tiny, paper = load_config("table1", changes).tables
    asked = [row for row in paper.rows if row.backend]
    assert {(row.prompts, row.prompts_of) for row in asked} == {("authors", "2606.06076")}
    assert {row.prompts for row in tiny.rows if row.backend} == {"compact"}


def test_diagnostics_rest_on_the_runs_of_the_main_table() -> None:
    of_table1, of_diagnostics = (load_config(name) for name in ("table1", "diagnostics"))
    assert of_table1.runs == of_diagnostics.runs
    for first, second in zip(of_table1.tables, of_diagnostics.tables, strict=True):
        rows = {row.name: row for row in first.rows}
        assert all(rows[row.name] == row for row in second.rows)
        assert (first.suite, first.external, first.image) == (second.suite, second.external, second.image)


def test_nothing_measured_leaves_an_earlier_report_alone(config: Path, tmp_path: Path) -> None:
    table1(config, "--rows", "oracle")
    before = (tmp_path / "reports/small/small.md").read_bytes()
    output = table1(config, "--set", with_rows("none"))
    assert "no finished run at runs/nowhere/*; made by `make them`" in output
    assert "0 rows measured, 1 skipped, 0 failed; no row was measured, so reports/small is left as it is" in output
    assert (tmp_path / "reports/small/small.md").read_bytes() == before


def test_a_table_wider_than_the_terminal_is_shown_whole(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    wide = ("tables.first.layout=measures", "tables.first.measures=[state, plan_on_gt, e2e, gap]")
    output = table1(config, "--set", wide[0], "--set", wide[1], "--rows", "oracle,blind")
    assert "…" not in output
    assert all(any(line.startswith(name) for line in output.splitlines()) for name in ("oracle ", "blind | plan "))


def test_rows_by_name_bring_along_what_they_show(config: Path, tmp_path: Path) -> None:
    output = table1(config, "--rows", "told", "--limit", "1")
    assert "2 rows measured, 0 skipped, 0 failed" in output
    assert "oracle" not in (tmp_path / "reports/small/small.md").read_text()

"""What looks cost: figures by hand, planted faults, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mgsd_bench as mb
from mgsd_bench.analysis.look_arms import Arms
from mgsd_bench.analysis.robustness import Robustness, measure
from mgsd_bench.errors import UserError
from mgsd_bench.evaluation.evaluate import Evaluation, evaluate
from mgsd_bench.evaluation.settings import EvaluationSettings
from mgsd_bench.suites.suite import Part, Suite
from mgsd_bench.terminal import Terminal
from support.commands import mgsd

LOOKS = ("classic", "classic+copy-1", "classic+blur-1", "classic+blur-3", "classic+hue-1", "plain")


def run_of(model: str, out: Path, looks: tuple[str, ...] = LOOKS, count: int = 12) -> mb.Run:
    settings = EvaluationSettings(model=model, backend="scripted", suite="smoke", conditions=("visual",), out=out)
    suite = Suite("looks", "of a test", (Part("frozenlake", 4, count), Part("maze", 3, count)), looks=looks)
    evaluate(replace(Evaluation.from_settings(settings), suite=suite), Terminal())
    return mb.load_run(out)


@pytest.fixture(scope="module")
def blind(tmp_path_factory: pytest.TempPathFactory) -> mb.Run:
    return run_of("blind-to:blur,0.1", tmp_path_factory.mktemp("blind") / "run")


@pytest.fixture(scope="module")
def result(blind: mb.Run) -> Robustness:
    return mb.robustness(blind)


def test_consistency_over_images(tmp_path: Path) -> None:
    looks = ("classic", *(f"classic+turned-{number}" for number in range(1, 8)))
    run = run_of("noisy-perception:0.02", tmp_path / "run", looks)
    found = mb.robustness(run)
    table = run.to_pandas().assign(first=lambda rows: rows["episode"].astype(str).str.partition("@")[0])
    same = table.groupby(["task", "first"], observed=True)["solved"].nunique() == 1
    assert found.consistent is not None
    assert found.consistent.value == pytest.approx(same.groupby("task", observed=True).mean().mean())
    assert 0 < found.consistent.value < 1
    assert Robustness.from_json(json.loads(json.dumps(found.to_json()))).consistent is not None
    assert "all images come to the same" in mgsd("robustness", str(run.path))


class TestByHand:
    """The figures that can be counted from the table of samples."""

    @staticmethod
    def accuracy(run: mb.Run, *looks: str) -> float:
        frame = run.to_pandas()
        part = frame[frame["look"].isin(looks)]
        return float(part.groupby("task", observed=True)["solved"].mean().mean())

    def test_levels(self, blind: mb.Run, result: Robustness) -> None:
        (axis,) = result.axes
        assert result.clean.value == self.accuracy(blind, "classic") == 1
        assert axis.solved.value == pytest.approx(self.accuracy(blind, "classic+blur-1", "classic+blur-3"))
        assert axis.drop.value == pytest.approx(1 - axis.solved.value)
        assert result.mean_drop == axis.drop
        assert axis.retention is not None
        assert axis.retention.value == pytest.approx(axis.solved.value)
        assert axis.retention.low < axis.retention.value < axis.retention.high

    def test_cells(self, blind: mb.Run, result: Robustness) -> None:
        first, third = result.axes[0].cells
        assert [first.severity, third.severity] == [1, 3]
        for cell in (first, third):
            assert cell.solved.value == pytest.approx(self.accuracy(blind, cell.look))
            assert cell.change.value == pytest.approx(cell.solved.value - 1)
            assert cell.repaired == 0
        frame = blind.to_pandas()
        assert first.broken == (~frame[frame["look"] == first.look]["solved"]).sum()
        assert third.solved.value < first.solved.value < 1
        assert {cell.look for cell in result.others} == {"classic+hue-1", "plain"}

    def test_slope_is_that_of_least_squares(self, result: Robustness) -> None:
        (axis,) = result.axes
        values = [result.clean.value, *(cell.solved.value for cell in axis.cells)]
        assert axis.slope.value == pytest.approx(np.polyfit([0, 1, 3], values, 1)[0])

    def test_half(self, result: Robustness) -> None:
        (axis,) = result.axes
        expected = [cell.severity for cell in axis.cells if cell.solved.value <= 0.5]
        assert axis.half_at == (expected[0] if expected else None)


class TestPlanted:
    def test_the_right_axis_and_nothing_else(self, result: Robustness) -> None:
        (axis,) = result.axes
        assert result.worst == "blur"
        assert axis.effect is True
        assert axis.holm_p < 0.01
        assert result.again is not None
        assert result.again.value == 0
        assert all(cell.broken == cell.repaired == 0 for cell in result.others)

    def test_it_is_perception_and_planning_does_not_move(self, result: Robustness) -> None:
        (axis,) = result.axes
        assert axis.state_f1 is not None
        assert axis.state_f1.high < 0
        assert axis.causes["perception"].low > 0
        assert axis.causes["planning"].value == 0
        assert axis.misplanned is not None
        assert axis.misplanned.value == 0
        assert axis.planning_moved is False

    def test_planning_that_moves_is_said(self, blind: mb.Run) -> None:
        frame = blind.to_pandas()
        spoiled = frame["look"].isin(["classic+blur-1", "classic+blur-3"])
        frame.loc[spoiled & frame["misplanned"].notna(), "misplanned"] = True
        assert measure(Arms.of(frame, "classic", facts=True)).axes[0].planning_moved is True

    def test_what_flips_by_itself_is_no_effect(self, tmp_path: Path) -> None:
        (axis,) = mb.robustness(run_of("noisy-planning:0.3", tmp_path / "run")).axes
        assert axis.effect is False


def test_two_axes_at_once_beside_the_sum_of_both(tmp_path: Path) -> None:
    from mgsd_envs.perturbations import ORDERED

    looks = ("classic", "classic+pair-2", *(f"classic+{name}-2" for name in ORDERED))
    found = mb.robustness(run_of("blind-to:blur,0.2", tmp_path / "run", looks, count=6))
    assert found.combined is not None
    assert found.combined.beyond_sum is not None
    # a scripted model that is blind to blur alone sees nothing in a pair: it does better than the sum
    assert found.combined.cell.change.value == 0
    assert found.combined.beyond_sum.value > 0


def test_there_and_back(result: Robustness) -> None:
    data: Any = json.loads(json.dumps(result.to_json()))
    assert Robustness.from_json(data).to_json() == data
    frame = result.to_pandas()
    assert list(frame["look"]) == [cell.look for cell in result.cells()]
    assert list(frame["severity"]) == [1, 3, 1, 0]


class TestOtherFigures:
    """Figures whose intervals take episodes as independent read the first look alone, and say so."""

    NOTE = f"the look classic alone, of {len(LOOKS)}; mgsd-bench robustness has the others"

    def test_diagnosis(self, blind: mb.Run, result: Robustness) -> None:
        found = mb.diagnose(blind)
        assert found.macro.n == result.n == 24
        assert found.macro.e2e == result.clean
        assert found.notes == (self.NOTE,)

    def test_comparison(self, blind: mb.Run) -> None:
        found = mb.compare(blind, blind)
        assert found.macro.n == 24
        assert found.notes == (self.NOTE,)

    def test_report(self, blind: mb.Run) -> None:
        assert self.NOTE in mgsd("report", str(blind.path)).replace("\n", " ")
        assert self.NOTE in mgsd("report", str(blind.path), "--format", "md")


class TestRefused:
    def test_one_look_alone(self, tmp_path: Path) -> None:
        run = run_of("oracle", tmp_path / "run", looks=(), count=2)
        with pytest.raises(UserError, match="asked in one look under visual; ask a suite with several"):
            mb.robustness(run)

    def test_an_unfinished_run(self, blind: mb.Run) -> None:
        with pytest.raises(UserError, match="is not finished; run its command again first"):
            mb.robustness(replace(blind, record={**blind.record, "status": "running"}))

    def test_a_condition_without_pictures(self, blind: mb.Run) -> None:
        with pytest.raises(UserError, match="condition=symbolic: needs a picture; choose from direct, perceive"):
            mb.robustness(blind, condition="symbolic")

    def test_a_condition_that_was_not_asked(self, blind: mb.Run) -> None:
        with pytest.raises(UserError, match="has no answers under direct, but under visual"):
            mb.robustness(blind, condition="direct")

    def test_a_missing_answer(self, blind: mb.Run) -> None:
        frame = blind.to_pandas()
        with pytest.raises(UserError, match="the looks classic and plain: other episodes"):
            Arms.of(frame[~((frame["look"] == "plain") & (frame["level"] == 3))], "classic", facts=True)


class TestCommand:
    def test_text(self, blind: mb.Run) -> None:
        text = mgsd("robustness", str(blind.path))
        assert "worst: blur" in text
        assert "Surely lower (Holm, 5 %): blur." in text

    @pytest.mark.parametrize("ending", ["md", "tex", "csv", "json"])
    def test_files(self, blind: mb.Run, tmp_path: Path, ending: str) -> None:
        out = tmp_path / f"looks.{ending}"
        mgsd("robustness", str(blind.path), "--out", str(out))
        assert "blur" in out.read_text()

    @pytest.mark.slow
    def test_figure_and_page(self, blind: mb.Run, tmp_path: Path) -> None:
        mgsd("robustness", str(blind.path), "--figures", str(tmp_path))
        assert (tmp_path / "robustness.png").is_file()
        page = tmp_path / "page.html"
        mgsd("report", str(blind.path), "--out", str(page))
        assert "What looks cost" in page.read_text()
        assert "Mean drop over 1 axes" in page.read_text()
        assert "Drawn without blur-3, with which the model was shown it." in page.read_text()

    def test_unknown_format(self, blind: mb.Run) -> None:
        assert "--format pdf: choose from text, md" in mgsd("robustness", str(blind.path), "--format", "pdf", code=2)


@pytest.mark.parametrize("model", ["blind-to", "blind-to:fog,0.1", "blind-to:blur", "blind-to:blur,2"])
def test_what_nobody_can_be_blind_to(model: str, tmp_path: Path) -> None:
    words = ("--model", model, "--backend", "scripted", "--suite", "smoke", "--out", str(tmp_path / "run"))
    assert f"--model {model}: needs one of noise, shot" in mgsd("eval", *words, code=2)

"""What several runs come to, and which of their answers to look at first."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mgsd_bench.analysis.comparison import compare
from mgsd_bench.analysis.diagnose import diagnose
from mgsd_bench.analysis.run import Run, load_run
from mgsd_bench.analysis.surprise import by_surprise
from mgsd_bench.analysis.verdict import MOST_PAIRED, Verdict, judge
from mgsd_bench.errors import Exit, UserError
from support.gating import make


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Two models of known skill, the lesser one first, from the picture and from text."""
    folder = tmp_path_factory.mktemp("verdict")
    models = ("noisy-planning:0.5", "noisy-planning:0.1")
    return [load_run(make(folder / f"run{i}", model, limit=4)) for i, model in enumerate(models)]


def under(run: Run, condition: str) -> Run:
    return replace(run, given=[sample for sample in run.samples if sample.condition == condition])


class TestVerdict:
    def test_figures_are_those_of_the_other_commands(self, runs: list[Run]) -> None:
        verdict = judge(runs)
        assert verdict.ranking == (1, 0)
        (pair,) = verdict.pairs
        assert pair.change == compare(runs[0], runs[1])
        for run, of_run in zip(runs, verdict.runs, strict=True):
            diagnosis = diagnose([run])
            assert of_run.diagnosis == diagnosis
            assert of_run.solved == diagnosis.macro.e2e
            assert of_run.sees == diagnosis.macro.state.recall
            assert of_run.invents is not None
            assert of_run.invents.value == pytest.approx(1 - diagnosis.macro.state.precision.value)
            assert of_run.causes is not None
            counts = {cause: round(share.value * of_run.failed) for cause, share in of_run.causes.items()}
            assert counts == {c: n for c, n in diagnosis.macro.attribution.items() if n and c != "solved"}
            assert set(counts) == {"planning"}

    def test_is_kept_as_json(self, runs: list[Run]) -> None:
        verdict = judge(runs)
        again = Verdict.from_json(json.loads(json.dumps(verdict.to_json())))
        assert again.to_json() == verdict.to_json()

    def test_from_text_failures_are_told_by_outcome(self, runs: list[Run]) -> None:
        verdict = judge([under(run, "symbolic") for run in runs], "symbolic")
        assert verdict.ranking == (1, 0)
        for run in verdict.runs:
            assert run.diagnosis is run.sees is None
            assert run.causes
            assert set(run.causes) <= {"wrong", "illegal"}
            assert sum(share.value for share in run.causes.values()) == pytest.approx(1)

    def test_a_run_without_the_condition_has_no_rank(self, runs: list[Run]) -> None:
        verdict = judge([under(runs[0], "symbolic"), runs[1]])
        assert (verdict.ranking, verdict.pairs) == ((1,), ())
        assert verdict.runs[0].solved is None
        assert verdict.runs[0].conditions == ("symbolic",)

    def test_runs_that_differ_have_reasons_instead_of_a_difference(self, runs: list[Run]) -> None:
        identity = {**runs[1].identity, "sampling": {"temperature": 1.0}, "pixels": [1, 2]}
        other = replace(runs[1], record={**runs[1].record, "identity": identity})
        (pair,) = judge([runs[0], other]).pairs
        assert pair.change is None
        assert [reason.partition(":")[0] for reason in pair.reasons] == ["sampling", "image-limits"]
        (pair,) = judge([runs[0], other], allow=["sampling"]).pairs
        assert [reason.partition(":")[0] for reason in pair.reasons] == ["image-limits"]
        allowed = judge([runs[0], other], allow=["sampling", "image-limits"])
        assert allowed.pairs[0].change is not None
        assert len(allowed.notes) == 2

    def test_unfinished_runs_are_refused(self, runs: list[Run]) -> None:
        with pytest.raises(UserError, match="not finished") as refused:
            judge([replace(runs[0], record={**runs[0].record, "status": "interrupted"})])
        assert refused.value.code == Exit.NOT_COMPARABLE

    def test_of_many_runs_only_neighbours_are_compared(self, runs: list[Run]) -> None:
        many = [under(run, "symbolic") for run in runs] * (MOST_PAIRED // 2 + 1)
        assert len(judge(many, "symbolic").pairs) == len(many) - 1


def order(*answers: tuple[str, str, bool, int, int]) -> list[int]:
    models, questions, *others = zip(*answers, strict=True)
    numbers = [[list(dict.fromkeys(names)).index(name) for name in names] for names in (models, questions)]
    return by_surprise(*map(np.array, (*numbers, *others))).tolist()


class TestSurprise:
    def test_of_one_model_easy_failures_come_first(self) -> None:
        found = order(
            ("a", "1", True, 1, 3), ("a", "2", False, 9, 3), ("a", "3", False, 2, 5), ("a", "4", False, 2, 3),
            ("a", "5", True, 8, 3),
        )  # fmt: skip
        assert found == [3, 2, 1, 0, 4]

    def test_what_others_solve_comes_before_what_is_merely_easy(self) -> None:
        found = order(
            ("a", "hard", False, 9, 8), ("b", "hard", True, 9, 8), ("a", "easy", False, 1, 3),
            ("b", "easy", False, 1, 3), ("a", "other", True, 1, 3), ("b", "other", True, 1, 3),
        )  # fmt: skip
        assert found == [0, 2, 3, 1, 4, 5]

    def test_failures_of_a_good_model_come_before_those_of_a_bad_one(self) -> None:
        bad = [("bad", str(i), False, 3, 3) for i in range(9)] + [("bad", "9", True, 3, 3)]
        good = [("good", str(i), True, 3, 3) for i in range(9)] + [("good", "9", False, 8, 8)]
        assert order(*bad, *good)[0] == len(bad) + 9

    def test_repeats_count_as_others(self) -> None:
        tried = [("a", "1", False, 5, 5), ("a", "1", True, 5, 5), ("a", "2", False, 1, 1), ("a", "2", False, 1, 1)]
        assert order(*tried)[0] == 0

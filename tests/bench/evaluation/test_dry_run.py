"""A dry run says what would be asked, and neither asks nor writes anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import mgsd_bench
from mgsd_bench.backends import token_counts
from mgsd_bench.config.settings import make_settings
from mgsd_bench.evaluation.dry_run import Forecast, Span, forecast
from mgsd_bench.evaluation.evaluate import Evaluation
from mgsd_bench.evaluation.settings import EvaluationSettings
from support.commands import error, mgsd
from support.stored import rewrite

ORACLE: dict[str, Any] = {"model": "oracle", "backend": "scripted", "suite": "smoke", "limit": 1}


def of(**settings: Any) -> Forecast:
    return forecast(Evaluation.from_settings(make_settings(EvaluationSettings, **settings)))


@pytest.fixture(autouse=True)
def _characters(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token is a character, so that what is said can be counted."""
    monkeypatch.setattr("mgsd_bench.evaluation.dry_run.counter", lambda model: (len, "characters"))


def test_questions_and_tokens_are_those_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    respond = mgsd_bench.backends.scripted.ScriptedBackend.respond

    def noted(self: Any, request: Any) -> Any:
        asked.append(request)
        return respond(self, request)

    out = tmp_path / "run"
    settings = {**ORACLE, "conditions": ("visual", "symbolic", "act", "act-symbolic"), "out": out, "history": "2"}
    found = of(**settings)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr("mgsd_bench.backends.scripted.ScriptedBackend.respond", noted)
    mgsd_bench.evaluate(**settings)
    for row in found.rows:
        these = [r for r in asked if (r.condition, r.episode.task) == (row.condition, row.task)]
        questions = {request.key.partition("#")[0] for request in these}
        assert (row.questions, row.left) == (len(questions), len(questions))
        assert row.requests.low == len(these) <= row.requests.high
        pictures = 64 * sum(turn.image is not None for r in these for turn in r.turns)
        texts = sum(len(turn.text) for request in these for turn in request.turns)
        assert row.prompt_tokens.low == pytest.approx(pictures + texts, rel=0.03 if "act" in row.condition else 1e-9)
    assert found.total.questions == sum(row.questions for row in found.rows)
    assert found.total.answer_tokens.high == 4096 * found.total.requests.high
    again = of(**settings)
    assert (again.total.questions, again.total.left) == (found.total.questions, 0)
    assert again.total.prompt_tokens == Span()


def test_what_is_left_of_a_run(tmp_path: Path) -> None:
    settings = {**ORACLE, "out": tmp_path / "run"}
    mgsd_bench.evaluate(**settings)
    path = tmp_path / "run" / "samples.jsonl"
    rewrite(tmp_path / "run", lambda i, row: None if i < 5 else {**row, "text": row["text"]})
    before = path.read_bytes(), (tmp_path / "run" / "run.json").read_bytes()
    found = of(**settings)
    assert (found.total.questions, found.total.left) == (12, 5)
    assert 0 < found.total.prompt_tokens.low < of(**{**settings, "out": None}).total.prompt_tokens.low
    assert (path.read_bytes(), (tmp_path / "run" / "run.json").read_bytes()) == before
    assert {file.name for file in (tmp_path / "run").iterdir()} >= {"run.json", "samples.jsonl"}
    words = ("--backend", "scripted", "--model", "straight", "--suite", "smoke", "--limit", "1", "--dry-run")
    assert "holds another run, with model" in error("eval", *words, "--out", str(tmp_path / "run"), code=3)


def test_a_shard_and_repeats(tmp_path: Path) -> None:
    whole = of(**ORACLE, temperature=0.5, repeats=3)
    parts = [of(**ORACLE, temperature=0.5, repeats=3, shard=f"{i}/5", out=tmp_path) for i in range(1, 6)]
    assert whole.total.questions == 36
    assert sum(part.total.questions for part in parts) == 36
    assert sum(part.total.prompt_tokens.low for part in parts) == pytest.approx(whole.total.prompt_tokens.low)
    assert parts[1].out.endswith("shard-2-of-5")


def test_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")
    hosted = {"model": "m", "backend": "openai", "suite": "smoke", "limit": 1, "max_tokens": 1000}
    assert of(**hosted).cost is None
    found = of(**hosted, engine={"price_in": 2, "price_out": 10})
    total = found.total
    assert found.cost is not None
    assert found.cost.low == pytest.approx((2 * total.prompt_tokens.low + 10 * total.answer_tokens.low) / 1e6, rel=1e-3)
    assert found.cost.high == pytest.approx((2 * total.prompt_tokens.high + 10 * 12 * 1000) / 1e6, rel=1e-3)
    assert 0 < found.cost.low < found.cost.high
    assert of(**hosted, engine={"price_in": 2}).cost is not None
    with pytest.raises(mgsd_bench.UserError, match="price_in"):
        of(**hosted, engine={"price_in": -2})


def test_pictures_are_scaled_into_their_limits() -> None:
    few = of(**ORACLE, max_pixels=65_536).total.prompt_tokens.low
    assert of(**ORACLE, min_pixels=4 * 65_536).total.prompt_tokens.low == few + 12 * (256 - 64)


def test_the_command_says_it_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    words = ("--backend", "openai", "--model", "no-such", "--base-url", "http://127.0.0.1:9/v1", "--suite", "smoke")
    prices = ("-M", "price_in=1", "-M", "price_out=4")
    shown = mgsd("eval", *words, *prices, "--condition", "visual,act", "--dry-run", cwd=tmp_path)
    assert "price: " in shown
    assert "texts: characters" in shown
    assert "no model was asked and nothing was written" in shown
    assert "minibehaviour" in shown
    assert not list(tmp_path.iterdir())


def test_a_dry_run_refuses_what_the_run_would() -> None:
    said = error("eval", "--backend", "scripted", "--model", "oracle", "--dry-run", "--suite", "no-such")
    assert "unknown suite" in said
    assert "--repeats above 1 needs --temperature" in error(
        "eval", "--backend", "hf", "--model", "x", "--repeats", "2", "--dry-run", "--suite", "smoke"
    )


def test_tokens_of_what_is_not_here_are_rough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_counts, "find_spec", lambda name: None)
    count, how = token_counts.counter(None)
    assert "roughly" in how
    assert count("size: 12\nplayer: (0,1)") == 11


def test_a_forecast_is_kept_as_json() -> None:
    found = of(**ORACLE)
    assert Forecast.from_json(json.loads(json.dumps(found.to_json()))).total.questions == found.total.questions

"""Looks: how they are written, what they do to episodes, and what they leave alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mgsd_envs import Episode, Look, episode_from_json, generate
from mgsd_envs.looks import id_in_look, id_without_look, look_of_id
from support.tasks import FROZENLAKE

EPISODE: Episode = next(generate(FROZENLAKE, 5, 1, split="test", stream="looks"))
CLASSIC = Look("classic")


@pytest.mark.parametrize("text", ["classic", "night", "classic+blur-3", "night+labels-2"])
def test_written_and_read(text: str) -> None:
    assert str(Look.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("classic+blur", "write a theme and a perturbation, for example classic\\+blur-3"),
        ("classic+blur-x", "is no look"),
        ("classic+fog-1", "'fog' is no perturbation; choose from noise, shot"),
        ("classic+blur-6", "blur has severities 1 to 5, not 6"),
        ("classic+blur-0", "blur has severities 1 to 5, not 0"),
    ],
)
def test_what_is_no_look(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Look.parse(text)


@pytest.mark.parametrize(
    ("look", "suffix"),
    [("classic", ""), ("classic+blur-3", "@blur-3"), ("night", "@night"), ("night+blur-3", "@night+blur-3")],
)
def test_ids(look: str, suffix: str) -> None:
    name = id_in_look("maze/4/0007", Look.parse(look), CLASSIC)
    assert name == f"maze/4/0007{suffix}"
    assert id_without_look(name) == "maze/4/0007"
    assert look_of_id(name, "classic") == look


class TestEpisode:
    def test_a_plain_theme_is_written_as_before(self) -> None:
        assert EPISODE.to_json()["theme"] == "classic"

    def test_there_and_back(self) -> None:
        other = EPISODE.in_look(Look.parse("plain+shot-2"), CLASSIC)
        assert other.to_json()["theme"] == "plain+shot-2"
        assert episode_from_json(other.to_json()) == other
        assert other.in_look(CLASSIC, CLASSIC) == EPISODE

    def test_only_the_picture_and_the_id_change(self) -> None:
        other = EPISODE.in_look(Look.parse("classic+noise-4"), CLASSIC)
        assert replace(other, id=EPISODE.id, perturbation=None, severity=0) == EPISODE
        assert not np.array_equal(other.shown(), EPISODE.shown())
        assert other.draw().content() == other.shown().tobytes()

    def test_a_damaged_look_is_refused(self) -> None:
        with pytest.raises(ValueError, match="no perturbation"):
            episode_from_json({**EPISODE.to_json(), "theme": "classic+fog-1"})

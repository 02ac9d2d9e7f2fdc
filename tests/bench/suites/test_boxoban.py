"""Boxoban's levels as external suites, from small files in its format."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mgsd_bench.errors import UserError
from mgsd_bench.suites.external import load, outline
from mgsd_envs import get_task, rollout
from mgsd_envs.external import find_sources
from support.commands import mgsd

INSIDE = ("########", "#@ $  .#", "#  ##  #", "# $  # #", "#   .  #", "#      #", "#   *  #", "########")
SOLVED = ("########", "#@ *   #", *INSIDE[2:3], *("#      #",) * 4, "########")


def level(number: int, inside: tuple[str, ...] = INSIDE) -> str:
    """A level of 10 x 10: rows of eight cells within a rim of walls."""
    rows = ["#" * 10, *(f"#{row}#" for row in inside), "#" * 10]
    return f"; {number}\n" + "\n".join(rows) + "\n\n"


def write(root: Path, text: str, place: str = "unfiltered/test/000.txt") -> Path:
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return root


def test_levels_are_read_and_solved(tmp_path: Path) -> None:
    suite, (loaded,) = load(outline("boxoban-unfiltered"), write(tmp_path, level(0) + level(41)))
    assert [episode.id for episode in loaded.episodes] == ["sokoban/10/000-0000", "sokoban/10/000-0041"]
    assert [finding.kind for finding in loaded.findings] == ["duplicate"]
    assert [part.count for part in suite.parts] == [2]
    (episode, _) = loaded.episodes
    assert episode.source == "unfiltered/test/000.txt:0"
    assert len(episode.state.boxes) == len(episode.state.goals) == 3
    assert (2, 4) in episode.state.boxes
    assert (7, 5) in episode.state.boxes & episode.state.goals
    task = get_task("sokoban")
    assert rollout(task, episode.state, episode.plan) == ("solved", episode.shortest, None)


def test_each_set_takes_its_own_files(tmp_path: Path) -> None:
    write(tmp_path, level(1))
    write(tmp_path, level(2), "medium/valid/000.txt")
    write(tmp_path, level(3), "medium/valid/001.txt")
    write(tmp_path, level(4), "hard/003.txt")
    write(tmp_path, level(5), "unfiltered/train/000.txt")
    write(tmp_path, "nothing of the kind\n", "notes/000.txt")
    assert len(find_sources(tmp_path)) == 5
    found = {
        name: [e.id for e in load(outline(f"boxoban-{name}"), tmp_path)[1][0].episodes]
        for name in ("unfiltered", "medium", "hard")
    }
    assert found == {
        "unfiltered": ["sokoban/10/000-0001"],
        "medium": ["sokoban/10/000-0002"],
        "hard": ["sokoban/10/003-0004"],
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (level(0, SOLVED), "solved before the first action|as many goals"),
        (level(0).replace("@", " "), "one player is needed, got 0"),
        (level(0).replace("@", "x"), "unknown marks 'x'"),
        (level(0).replace("#@", "##"), "one player is needed"),
        (level(0).replace(".", " ", 1), "as many goals as boxes"),
        (level(0).replace("##########\n#", "####### ##\n#", 1), "of the rim is no wall"),
        (level(0).replace("##########\n\n", ""), "not square"),
        (
            level(0, ("########", "#$@.   #", *INSIDE[1:2], *INSIDE[3:])).replace("#@ $  .#", "#      #"),
            "no plan solves",
        ),
    ],
)
def test_a_damaged_level_is_named_and_the_others_are_read(tmp_path: Path, text: str, why: str) -> None:
    _, (loaded,) = load(outline("boxoban-unfiltered"), write(tmp_path, text + level(7)))
    assert [episode.id for episode in loaded.episodes] == ["sokoban/10/000-0007"]
    (finding,) = loaded.findings
    assert finding.kind == "bad"
    assert re.search(why, finding.why), finding.why


def test_the_commands(tmp_path: Path) -> None:
    read = (
        "--suite",
        "boxoban-hard",
        "--data-root",
        str(write(tmp_path / "sets", level(0) + level(1), "hard/000.txt")),
    )
    shown = mgsd("suites", "verify", str(tmp_path / "sets"))
    assert re.search(r"boxoban-hard +10 +3332 +2 +2 +0 +1 +0", shown)
    out = str(tmp_path / "run")
    shown = mgsd("eval", "--backend", "scripted", "--model", "oracle", *read, "--condition", "visual", "--out", out)
    assert re.search(r"sokoban +10 +2 +100\.0", shown)
    assert "solved; shortest" in mgsd("show", "sokoban/10/000-0001", *read, "--out", str(tmp_path / "a.png"))


def test_a_file_by_itself(tmp_path: Path) -> None:
    write(tmp_path, level(3), "mine/000.txt")
    with pytest.raises(UserError, match="holds no usable record of suite boxoban-hard"):
        load(outline("boxoban-hard"), tmp_path)

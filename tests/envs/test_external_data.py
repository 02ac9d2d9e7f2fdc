"""Other people's pictures, states and plans: do we read them, and do our rules, lengths and looks agree with them?"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mgsd_envs import get_task, rollout
from mgsd_envs.external import BadRecord, ExternalRecord, lake_state, maze_state, moves_between, read_external
from mgsd_envs.task import Task
from support.tasks import FROZENLAKE, MAZE, MINIBEHAVIOUR, office

Rows = list[dict[str, Any]]
COMPASS = {"left": "W", "down": "S", "right": "E", "up": "N"}
WALLS = {"up": 1, "down": 2, "left": 4, "right": 8}


@cache
def records(path: Path) -> list[Any]:
    """Every record under a path, all of them good."""
    found = list(read_external(path))
    assert [record for record in found if isinstance(record, BadRecord)] == []
    return found


def assert_shortest(task: Task[Any], state: Any, plan: Iterable[str]) -> None:
    plan = tuple(plan)
    assert rollout(task, state, plan) == ("solved", len(plan), None)
    assert len(task.solve(state)) == len(plan)


def straight_share(task: Task[Any], states: Sequence[Any]) -> float:
    return fmean(rollout(task, state, task.straight(state)).outcome == "solved" for state in states)


@pytest.fixture(scope="module")
def rows(data_root: Path) -> Rows:
    rows = [json.loads(line) for line in (data_root / "classic-images" / "states.jsonl").read_text().splitlines()]
    assert len(rows) == 48
    return rows


def classic_state(row: dict[str, Any]) -> Any:
    if row["task"] == "frozenlake":
        return lake_state(row["grid"])
    if row["task"] == "maze":
        walls = row["walls"]
        return maze_state(row["start"], row["goal"], lambda r, c, side: COMPASS[side] in walls[r][c], row["level"])
    return office(row["level"], row["agent"], row["printer"], row["table"])


@pytest.mark.data
class TestClassicImages:
    # mean absolute difference in grey levels: mazes are the same to the pixel, the printer's icon nearly so, and the
    # lakes are brought to 256 colours
    @pytest.mark.parametrize(("task", "limit"), [("maze", 0), ("minibehaviour", 0.2), ("frozenlake", 2)])
    def test_looks(self, data_root: Path, rows: Rows, task: str, limit: float) -> None:
        for row in rows:
            if row["task"] == task:
                with Image.open(data_root / "classic-images" / row["image"]) as image:
                    theirs = np.asarray(image.convert("RGB"), np.float64)
                ours = get_task(task).draw(classic_state(row)).rgb()
                assert np.abs(ours - theirs).mean() <= limit, row["image"]

    def test_lengths(self, rows: Rows) -> None:
        for row in rows:
            assert len(get_task(row["task"]).solve(classic_state(row))) == row["shortest"], row["image"]

    def test_example_plans(self, rows: Rows) -> None:
        for row in rows:
            if "example_plan" in row:
                assert_shortest(get_task(row["task"]), classic_state(row), row["example_plan"])


@pytest.mark.data
class TestDiffThinker:
    # the share that a plan which sees no holes solves: vertical moves first, 100 maps a level
    @pytest.mark.parametrize(("level", "blind"), [(3, 0.78), (4, 0.78), (5, 0.77), (6, 0.58), (7, 0.56), (8, 0.51)])
    def test_frozenlake(self, data_root: Path, level: int, blind: float) -> None:
        folder = data_root / "diffthinker" / "FrozenLake" / "VSP" / "maps" / f"level{level}"
        if not folder.is_dir():
            pytest.skip("this level is not here")
        lakes = records(folder)
        plans = json.loads((folder / "metadata.json").read_text())
        assert [record.image.name for record in lakes] == [f"{i}.png" for i in range(100)] == sorted(plans, key=natural)
        for record in lakes:
            assert (record.task, record.level) == ("frozenlake", level)
            assert_shortest(FROZENLAKE, record.state, record.plan)
            assert "".join(action[0].upper() for action in record.plan) == plans[record.image.name]
        assert straight_share(FROZENLAKE, [record.state for record in lakes]) == pytest.approx(blind, abs=0.011)

    def test_maze(self, data_root: Path) -> None:
        mazes = records(data_root / "diffthinker" / "Maze" / "8_test")
        assert len(mazes) >= 40
        for record in mazes:
            assert (record.task, record.level) == ("maze", 8)
            assert record.image.is_file()
            assert_shortest(MAZE, record.state, record.plan)
            assert len(record.plan) >= record.minimum


def natural(name: str) -> int:
    return int(name.removesuffix(".png"))


def visualplanning_file(root: Path, task: str) -> Path:
    return root / "visualplanning" / "dataset" / task / "tokenized_dataset" / "SFT" / "test_dataset.jsonl"


@pytest.mark.data
class TestVisualPlanning:
    @pytest.mark.parametrize(("task", "count"), [("frozenlake", 500), ("maze", 4), ("minibehaviour", 202)])
    def test_plans(self, data_root: Path, task: str, count: int) -> None:
        file = visualplanning_file(data_root, task)
        assert len(records(file)) == count
        for line, record in enumerate(records(file), 1):
            assert (record.task, record.source) == (task, f"{file}:{line}")
            assert_shortest(get_task(task), record.state, record.plan)
            assert record.minimum in (None, len(record.plan))

    @pytest.mark.parametrize("level", [5, 6])
    def test_minibehaviour_is_easy_for_the_blind(self, data_root: Path, level: int) -> None:
        rooms = records(visualplanning_file(data_root, "minibehaviour"))
        states = [record.state for record in rooms if record.level == level]
        # 84 and 85 % of the whole set; half of its records are here
        assert straight_share(MINIBEHAVIOUR, states) == pytest.approx(0.845, abs=0.04)

    @pytest.mark.parametrize("level", [5, 6])
    def test_number_of_best_ways(self, data_root: Path, level: int) -> None:
        """The records list every optimal pair of pick and drop cells: none is missing from ours."""
        file = visualplanning_file(data_root, "minibehaviour")
        for record, line in zip(records(file), file.read_text().splitlines(), strict=True):
            if record.level == level:
                pairs = {(tuple(pick), tuple(drop)) for pick, drop in json.loads(line)["meta"]["best_paths"]}
                assert best_pairs(record.state) == pairs


def best_pairs(state: Any) -> set[tuple[Any, Any]]:
    """(pick cell, drop cell) of every shortest plan."""
    length = len(MINIBEHAVIOUR.solve(state))
    layers = [{(MINIBEHAVIOUR.start(state), None)}]
    for _ in range(length):
        onward = set()
        for cursor, pick in layers[-1]:
            for action in MINIBEHAVIOUR.actions:
                after = MINIBEHAVIOUR.step(state, cursor, action)
                if isinstance(after, tuple):
                    onward.add((after, cursor[:2] if action == "pick" else pick))
        layers.append(onward)
    return {(pick, cursor[:2]) for cursor, pick in layers[-1] if MINIBEHAVIOUR.solved(state, cursor)}


@pytest.mark.data
def test_a_root_of_several_sets(data_root: Path) -> None:
    """All that lies under a folder, and nothing that is in no known format."""
    found = records(data_root)
    assert {record.task for record in found} == {"frozenlake", "maze", "minibehaviour"}
    assert len(found) == len({record.source for record in found})
    parts = (data_root / "diffthinker", data_root / "visualplanning")
    assert [record.source for record in found] == [record.source for part in parts for record in records(part)]


TABLE = "|       | Col 1 | Col 2 |\n| Row 1 | @ | # |\n| Row 2 | _ | * |\n"
LAKE = {"start_pos": 0, "target_pos": 3, "layout": [["S", "H"], ["F", "G"]], "level": 2}
ROOM = {
    "level": 5,
    "start_pos": [0, 0],
    "printer_pos": [0, 2],
    "table_pos": [[r, c] for r in (2, 3) for c in (1, 2, 3)],
}
FETCH = [[[0, 0], False], [[0, 1], False], [[0, 1], True], [[1, 1], True], [[1, 1], False]]


def lakes(folder: Path, table: str = TABLE, plan: Any = "DR") -> Path:
    (folder / "table").mkdir(parents=True)
    (folder / "table" / "0.txt").write_text(table)
    (folder / "metadata.json").write_text(json.dumps({"0.png": plan, "1.png": "D"}))
    return folder


def mazes(folder: Path, text: str = "2\n0 0\n1 1\n7 9\n15 14\n", plan: str = "RD") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "2_3_007.txt").write_text(text)
    (folder / "path.json").write_text(json.dumps({"2_3_007": plan}))
    return folder


def lines(file: Path, *rows: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return file


class TestReading:
    def test_lake(self, tmp_path: Path) -> None:
        (record,) = read_external(lakes(tmp_path / "level2"))
        table = str(tmp_path / "level2" / "table" / "0.txt")
        state = FROZENLAKE.from_json({"size": 2, "player": [0, 0], "goal": [1, 1], "holes": [[0, 1]]})
        assert record == ExternalRecord("frozenlake", 2, state, ("down", "right"), None, None, table)

    def test_maze(self, tmp_path: Path) -> None:
        (record,) = read_external(mazes(tmp_path))
        fields = {"size": 2, "player": [0, 0], "goal": [1, 1], "open": [["R", "LD"], ["", "U"]]}
        assert record.state == MAZE.from_json(fields)
        assert (record.plan, record.minimum) == (("right", "down"), 2)

    def test_records(self, tmp_path: Path) -> None:
        walls = [{"north": True, "south": c == 0, "west": c == 0, "east": c == 1} for c in (0, 1)]
        floor = [{"north": c == 0, "south": True, "west": True, "east": True} for c in (0, 1)]
        maze = {"level": 2, "start_pos": 0, "target_pos": 3, "layout": [walls, floor], "distance_map": {"0": 2}}
        file = lines(
            tmp_path / "test_dataset.jsonl",
            {"meta": LAKE, "input_state": [0, 2, 3]},
            "",
            {"meta": maze, "input_state": [0, 1, 3]},
            {"meta": ROOM, "input_state": FETCH},
        )
        found = list(read_external(file))
        assert [record.task for record in found] == ["frozenlake", "maze", "minibehaviour"]
        assert [record.source for record in found] == [f"{file}:{line}" for line in (1, 3, 4)]
        assert [record.minimum for record in found] == [None, 2, None]
        assert found[2].plan == ("right", "pick", "down", "drop")

    def test_all_below_a_root_in_order(self, tmp_path: Path) -> None:
        for name in ("level10", "level9"):
            lakes(tmp_path / name)
        lines(tmp_path / "vp" / "a.jsonl", {"meta": LAKE, "input_state": [0, 2, 3]})
        lines(tmp_path / "other.jsonl", {"state": 1})
        names = [Path(record.source).relative_to(tmp_path).parts[0] for record in read_external(tmp_path)]
        assert names == ["level9", "level10", "vp"]

    def test_links_are_followed_once(self, tmp_path: Path) -> None:
        lakes(tmp_path / "elsewhere" / "level2")
        root = tmp_path / "root"
        root.mkdir()
        (root / "linked").symlink_to(tmp_path / "elsewhere")
        (root / "around").symlink_to(root)
        assert len(list(read_external(root))) == 1

    def test_nothing_known(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="neither a DiffThinker folder nor"):
            list(read_external(tmp_path))
        with pytest.raises(ValueError, match="neither a DiffThinker folder nor"):
            list(read_external(lines(tmp_path / "other.jsonl", {"state": 1})))
        with pytest.raises(FileNotFoundError, match="nowhere"):
            list(read_external(tmp_path / "nowhere"))


class TestBadRecords:
    @pytest.mark.parametrize(
        ("table", "plan", "why"),
        [
            (TABLE, "RD", "plan does not end at the goal: hole after 0"),
            (TABLE, "DRD", "plan does not end at the goal: solved after 2"),
            (TABLE, "DX", "letters of LDRU"),
            (TABLE, 7, "letters of LDRU"),
            (TABLE.replace("@", "_"), "DR", "one '@' is needed, got 0"),
            (TABLE.replace("| _ ", ""), "DR", "not square"),
            ("", "DR", "one '@' is needed"),
        ],
    )
    def test_lake(self, tmp_path: Path, table: str, plan: Any, why: str) -> None:
        (bad,) = read_external(lakes(tmp_path / "level2", table, plan))
        assert isinstance(bad, BadRecord)
        assert bad.source == str(tmp_path / "level2" / "table" / "0.txt")
        assert why in bad.why
        assert "\n" not in bad.why

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("2\n0 0\n1 1\n7 13\n15 14\n", "open to the right but not from the other side"),
            ("2\n0 0\n1 1\n3 9\n15 14\n", "open to the left but not from the other side"),
            ("2\n0 0\n1 2\n7 9\n15 14\n", "not a cell of a 2x2 grid"),
            ("2\n0 0\n1 1\n7 9\n15\n", "takes 9 numbers, not 8"),
            ("2\n0 0\n1 1\n7 9\n15 x\n", "invalid literal"),
            ("", "not enough values"),
        ],
    )
    def test_maze(self, tmp_path: Path, text: str, why: str) -> None:
        (bad,) = read_external(mazes(tmp_path, text))
        assert why in bad.why

    @pytest.mark.parametrize(
        ("row", "why"),
        [
            ('{"meta": ', "Expecting value"),
            ({"meta": LAKE}, "field 'input_state' is missing"),
            ({"meta": LAKE, "input_state": [0, 3]}, "no move leads from (0, 0) to (1, 1)"),
            ({"meta": LAKE, "input_state": 5}, "not iterable"),
            ({"meta": {**LAKE, "distance_map": {"0": "2"}}, "input_state": [0, 2, 3]}, "a distance is a whole number"),
            ({"meta": {**LAKE, "start_pos": 2}, "input_state": [0, 2, 3]}, "not where the layout has S and G"),
            ({"meta": {**LAKE, "level": 3}, "input_state": [0, 2, 3]}, "but the layout has 2 rows"),
            ({"meta": {**LAKE, "layout": "SHFG"}, "input_state": [0, 2, 3]}, "no record of VisualPlanning"),
            ({"meta": {**LAKE, "layout": [["S", "H"], ["?", "G"]]}, "input_state": [0, 2, 3]}, "unknown marks '?'"),
            ({"meta": {**LAKE, "layout": [["S", "h"], ["F", "G"]]}, "input_state": [0, 2, 3]}, "unknown marks 'h'"),
            ({"meta": {**ROOM, "printer_pos": [0, 9]}, "input_state": FETCH}, "not a cell of a 5x5 grid"),
            ({"meta": ROOM, "input_state": FETCH[:-1]}, "plan does not end at the goal: wrong after 3"),
            ({"meta": []}, "no record of VisualPlanning"),
        ],
    )
    def test_line(self, tmp_path: Path, row: Any, why: str) -> None:
        good = {"meta": LAKE, "input_state": [0, 2, 3]}
        file = lines(tmp_path / "a.jsonl", good, row, good)
        first, bad, last = read_external(file)
        assert isinstance(bad, BadRecord)
        assert bad.source == f"{file}:2"
        assert why in bad.why
        assert first.state == last.state

    def test_plans(self, tmp_path: Path) -> None:
        (lakes(tmp_path) / "metadata.json").write_text("[")
        bad, record = read_external(tmp_path)
        assert bad.source == str(tmp_path / "metadata.json")
        assert record.plan is None

    def test_special_files(self, tmp_path: Path) -> None:
        """A pipe that nobody writes to would be waited for for ever."""
        folder = lakes(tmp_path / "level2")
        os.mkfifo(folder / "table" / "1.txt")
        (folder / "table" / "2.txt").mkdir()
        (folder / "metadata.json").unlink()
        os.mkfifo(folder / "metadata.json")
        plans, record, *bad = read_external(folder)
        assert "a pipe, not a file" in plans.why
        assert isinstance(record, ExternalRecord)
        assert [Path(each.source).name for each in bad] == ["1.txt", "2.txt"]
        assert ["a pipe" in bad[0].why, "directory" in bad[1].why] == [True, True]
        os.mkfifo(tmp_path / "test_dataset.jsonl")
        for path in (tmp_path, tmp_path / "test_dataset.jsonl"):
            with pytest.raises(OSError, match="a pipe, not a file"):
                list(read_external(path))
        with pytest.raises(ValueError, match="neither"):
            list(read_external(Path("/dev/zero")))

    def test_path_of_non_neighbours(self) -> None:
        with pytest.raises(ValueError, match="no move leads"):
            moves_between([(0, 0), (0, 2)])

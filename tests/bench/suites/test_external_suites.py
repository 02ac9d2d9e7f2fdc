"""External test sets as suites: what is loaded, what is refused, and that runs on them are runs like any other."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from mgsd_bench.analysis.diagnose import diagnose
from mgsd_bench.analysis.run import load_run
from mgsd_bench.analysis.summary import Summary
from mgsd_bench.backends import BackendConfig
from mgsd_bench.errors import Exit, UserError
from mgsd_bench.evaluation.evaluate import Evaluation, evaluate
from mgsd_bench.report.explorer import Explorer
from mgsd_bench.suites import external as external_suites
from mgsd_bench.suites.external import EXTERNAL, load, outline
from mgsd_bench.suites.external_sets import SETS, ExternalSet, Loaded, Shelf
from mgsd_bench.suites.suite import Suite, digest, episodes, find_episode, select, subsample, with_theme
from mgsd_bench.suites.suite_file import shipped_names
from mgsd_envs import Episode, get_task
from support.commands import error, mgsd

BY_NAME = {of.name: of for of in SETS}
PLANNED = [of for of in SETS if of.format != "boxoban"]
"""The sets whose records come with plans. Boxoban's do not, and take minutes: see test_boxoban."""
PLANNED_SUITES = [name for name, sets in EXTERNAL.items() if all(of in PLANNED for of in sets)]
LAKES, VP_LAKES = BY_NAME["diffthinker-frozenlake"], BY_NAME["visualplanning-frozenlake"]
MAZES, VP_MAZES = BY_NAME["diffthinker-maze"], BY_NAME["visualplanning-maze"]

LAKE = "| | Col 1 | Col 2 | Col 3 |\n| Row 1 | @ | # | _ |\n| Row 2 | _ | _ | _ |\n| Row 3 | _ | # | * |\n"
OTHER = LAKE.replace("# | _ |\n| Row 2", "_ | _ |\n| Row 2")
RECORD = {
    "meta": {"level": 3, "start_pos": 0, "target_pos": 8, "layout": [list("SHF"), list("FFF"), list("FHG")]},
    "input_state": [0, 3, 4, 5, 8],
}


ROOM = {
    "meta": {
        "level": 5,
        "start_pos": [0, 0],
        "printer_pos": [0, 2],
        "table_pos": [[r, c] for r in (2, 3) for c in (1, 2, 3)],
    },
    "input_state": [[[0, 0], False], [[0, 1], False], [[0, 1], True], [[1, 1], True], [[1, 1], False]],
}


def write_lakes(root: Path, *tables: str, plans: dict[str, str] | None = None, picture: bool = True) -> Path:
    folder = root / "level3"
    (folder / "table").mkdir(parents=True)
    (folder / "img").mkdir()
    for i, table in enumerate(tables):
        (folder / "table" / f"{i}.txt").write_text(table)
        if picture:
            Image.new("RGB", (192, 192), (i, 100, 200)).save(folder / "img" / f"{i}.png")
    (folder / "metadata.json").write_text(json.dumps(plans if plans is not None else {"0.png": "DRRD"}))
    return folder


def write_records(root: Path, *records: object, name: str = "test_dataset.jsonl", task: str = "frozenlake") -> Path:
    file = root / "dataset" / task / "tokenized_dataset" / "SFT" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records))
    return file


def write_maze(folder: Path, size: int, name: str) -> Path:
    """A comb: every row is a corridor, joined to the next one in the first column."""
    folder.mkdir(parents=True, exist_ok=True)
    north, south, west, east = 1, 2, 4, 8
    masks = [
        [
            (north if c or not r else 0)
            | (south if c or r == size - 1 else 0)
            | (west if not c else 0)
            | (east if c == size - 1 else 0)
            for c in range(size)
        ]
        for r in range(size)
    ]
    rows = "\n".join(" ".join(map(str, row)) for row in masks)
    (folder / f"{name}.txt").write_text(f"{size}\n0 {size - 1}\n{size - 1} {size - 1}\n{rows}\n")
    plan = "L" * (size - 1) + "D" * (size - 1) + "R" * (size - 1)
    (folder / "path.json").write_text(json.dumps({name: plan}))
    return folder


def read(of: ExternalSet, root: Path, **options: str) -> Loaded:
    return Shelf(root).load(of, of.counts, **options)


def run(suite: Suite, out: Path, model: str = "oracle", conditions: tuple[str, ...] = ("visual",)) -> Summary:
    config = BackendConfig(model=model)
    job = Evaluation(suite, None, list(conditions), 1, "default", "scripted", config, out)  # type: ignore[arg-type]
    summary, code = evaluate(job, Console(quiet=True))
    assert code == Exit.OK
    return summary


def test_paper_is_the_papers_shape() -> None:
    parts = {(part.task, part.level): part.count for part in outline("paper").parts}
    assert sum(parts.values()) == 2003
    assert {level for task, level in parts if task == "frozenlake"} == set(range(3, 9))
    assert {parts["maze", level] for level in range(3, 7)} == {250}
    assert (parts["minibehaviour", 5], parts["minibehaviour", 6]) == (204, 199)
    assert all(len({of.task for of in sets}) == len(sets) for sets in EXTERNAL.values())
    assert not EXTERNAL.keys() & set(shipped_names())


@pytest.mark.data
@pytest.mark.slow
class TestPublishedData:
    @pytest.mark.parametrize("name", PLANNED_SUITES)
    @pytest.mark.parametrize("image", external_suites.IMAGES)
    def test_every_record_loads_and_agrees(self, data_root: Path, name: str, image: str) -> None:
        suite, loaded = load(outline(name), data_root, image, strict=True)
        assert [f for of in loaded for f in of.findings if f.kind != "duplicate"] == []
        found = episodes(suite)
        assert len(found) == len({episode.id for episode in found}) == sum(part.count for part in suite.parts)
        assert [(e.task, e.level) for e in found] == [(p.task, p.level) for p in suite.parts for _ in range(p.count)]
        pictured = {of.test_set.task for of in loaded if of.test_set.has_pictures} if image == "original" else set()
        assert all((episode.original is not None) == (episode.task in pictured) for episode in found)

    def test_duplicates_are_told(self, data_root: Path) -> None:
        rows = {row.level: row for row in read(LAKES, data_root).rows()}
        assert (rows[3].records, rows[3].loaded, rows[3].duplicates) == (100, 100, 4)
        assert rows[3].train == 67

    def test_originals_look_like_ours(self, data_root: Path) -> None:
        for name, limit in (("diffthinker-frozenlake", 5), ("diffthinker-maze", 7)):
            suite, _ = load(outline(name), data_root, "original")
            for episode in subsample(episodes(suite), 5):
                assert np.abs(episode.shown().astype(float) - episode.draw().rgb()).mean() < limit

    def test_oracle_solves_everything(self, data_root: Path, tmp_path: Path) -> None:
        for name in PLANNED_SUITES:
            suite, _ = load(outline(name), data_root, "original")
            summary = run(suite, tmp_path / name)
            (visual,) = summary.to_json()["conditions"].values()
            for task in visual["tasks"]:
                assert (task["accuracy"]["value"], task["optimal_accuracy"]["value"]) == (1, 1)

    def test_reference_plans_score_solved_and_optimal(self, data_root: Path, tmp_path: Path) -> None:
        """Not our solver's plans: those that come with the records, as recorded answers."""
        for of in PLANNED:
            suite, _ = load(outline(of.name), data_root)
            plans = {r.source: r.plan for r in Shelf(data_root)._records(of)}  # type: ignore[union-attr]
            answers = tmp_path / f"{of.name}.jsonl"
            with answers.open("w") as stream:
                for episode in episodes(suite):
                    plan = plans[f"{data_root}/{episode.source}"]
                    text = f"<answer>{','.join(plan or ())}</answer>"
                    stream.write(json.dumps({"episode": episode.id, "condition": "direct", "text": text}) + "\n")
            config = BackendConfig(model=str(answers))
            job = Evaluation(suite, None, ["direct"], 1, "default", "recorded", config, tmp_path / of.name)
            summary, _ = evaluate(job, Console(quiet=True))
            (task,) = summary.to_json()["conditions"]["direct"]["tasks"]
            assert (task["accuracy"]["value"], task["optimal_accuracy"]["value"]) == (1, 1)

    def test_command_line_from_eval_to_report(self, data_root: Path, tmp_path: Path) -> None:
        read = ("--suite", "paper", "--data-root", str(data_root), "--limit", "3", "--image", "original")
        ask = ("--backend", "scripted", "--model", "faulty:0.1,0.2,0.05", *read)
        shown = mgsd("diagnose", *ask, "--out", "run", cwd=tmp_path)
        assert "visualplanning-maze: 4 of 1000 published episodes (by level 3: 4/250, 4: 0/250" in shown
        assert "drawn in the classic look: visualplanning-maze, visualplanning-minibehaviour" in shown
        resumed = mgsd("eval", *ask, "--condition", "visual,symbolic,perceive", "--out", "run", cwd=tmp_path)
        assert "63 of 63 questions were answered" in resumed
        mgsd("report", "run", "--out", "report.html", cwd=tmp_path)
        page = (tmp_path / "report.html").read_text()
        assert "The model was shown the picture that comes with diffthinker/FrozenLake/VSP/maps/level3" in page
        assert str(data_root.resolve()) in (tmp_path / "run" / "run.json").read_text()
        mgsd("eval", "--backend", "scripted", "--model", "straight", *read, "--out", "b", cwd=tmp_path)
        mgsd("compare", "run", "b", cwd=tmp_path)
        other = [word if word != "original" else "classic" for word in read]
        ask = ("eval", "--backend", "scripted", "--model", "straight")
        assert "holds another run" in mgsd(*ask, *other, "--out", "b", cwd=tmp_path, code=3)
        mgsd(*ask, *other, "--out", "c", cwd=tmp_path)
        error("compare", "b", "c", cwd=tmp_path, code=3)

    def test_verify(self, data_root: Path) -> None:
        shown = mgsd("suites", "verify", str(data_root), "--image", "original", "--strict")
        assert re.search(r"diffthinker-frozenlake +3 +100 +100 +100 +0 +4 +0 +67\n", shown)
        assert re.search(r"visualplanning-minibehaviour +5 +204 +102 +102 +0 +0 +0 +\d+\n +6 +199 +100", shown)
        assert "twice: " in shown


class TestFindings:
    def test_a_bad_record_is_named_and_the_rest_loaded(self, tmp_path: Path) -> None:
        far = {**RECORD, "meta": {**RECORD["meta"], "target_pos": 80}}  # type: ignore[dict-item]
        file = write_records(tmp_path, RECORD, '{"meta"', far, {**RECORD, "input_state": [0, 3, 4]}, RECORD)
        found = read(VP_LAKES, tmp_path)
        assert [episode.id for episode in found.episodes] == ["frozenlake/3/0001", "frozenlake/3/0005"]
        assert [(f.kind, f.source, f.level) for f in found.findings] == [
            ("bad", f"{file}:2", None),
            ("bad", f"{file}:3", 3),
            ("bad", f"{file}:4", 3),
            ("duplicate", f"{file}:5", 3),
        ]
        rows = {row.level: row for row in found.rows()}
        assert (rows[3].records, rows[3].loaded, rows[3].bad, rows[3].duplicates) == (4, 2, 2, 1)
        assert (rows[None].records, rows[None].bad) == (1, 1)
        assert found.findings[-1].why == "the same state as frozenlake/3/0001"

    def test_walls_that_disagree(self, tmp_path: Path) -> None:
        folder = write_maze(tmp_path / "8_test", 8, "8_3_001")
        file = folder / "8_3_001.txt"
        file.write_text(file.read_text().replace("\n5 3", "\n13 3", 1))
        (bad,) = read(MAZES, tmp_path).findings
        assert (bad.kind, bad.source, bad.level) == ("bad", str(file), 8)
        assert "not from the other side" in bad.why

    def test_a_plan_that_is_not_the_shortest(self, tmp_path: Path) -> None:
        write_lakes(tmp_path, OTHER, plans={"0.png": "DURRDD"})
        found = read(LAKES, tmp_path)
        assert [(f.kind, f.why) for f in found.findings] == [("length", "its plan takes 6 actions, the shortest 4")]
        assert found.rows()[0].lengths == len(found.episodes) == 1

    def test_a_state_that_no_plan_solves(self, tmp_path: Path) -> None:
        write_lakes(tmp_path, LAKE.replace("| Row 2 | _ | _ | _", "| Row 2 | # | # | #"), plans={})
        (bad,) = read(LAKES, tmp_path).findings
        assert "no plan solves this state" in bad.why

    def test_a_grid_of_another_size_than_its_folder_says(self, tmp_path: Path) -> None:
        write_lakes(tmp_path, LAKE).rename(tmp_path / "level4")
        (bad,) = read(LAKES, tmp_path).findings
        assert (bad.level, bad.why) == (4, "a 3x3 grid where its name or place says 4")

    def test_levels_that_were_not_published_are_counted(self, tmp_path: Path) -> None:
        write_maze(tmp_path / "9_test", 9, "9_3_001")
        found = read(MAZES, tmp_path)
        assert (found.others, found.episodes, found.seen) == (1, (), True)

    def test_two_copies_of_a_set(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            write_lakes(tmp_path / name, LAKE)
        (bad,) = read(LAKES, tmp_path).findings
        assert bad.source.startswith(str(tmp_path / "b"))
        assert "a/level3/table/0.txt is frozenlake/3/0000 already" in bad.why

    def test_training_records_are_no_test_set(self, tmp_path: Path) -> None:
        file = write_records(tmp_path, RECORD, RECORD, name="train_dataset.jsonl")
        assert not read(VP_LAKES, tmp_path).seen
        assert len(read(VP_LAKES, file).episodes) == 2
        assert {episode.source for episode in read(VP_LAKES, file).episodes} == {
            f"{file.name}:1",
            f"{file.name}:2",
        }

    def test_damage_counts_for_the_task_of_the_file(self, tmp_path: Path) -> None:
        write_records(tmp_path, RECORD, '"meta"')
        write_records(tmp_path, '"meta"', task="maze")
        assert [f.kind for f in read(VP_LAKES, tmp_path).findings] == ["bad"]
        assert [f.kind for f in read(VP_MAZES, tmp_path).findings] == ["bad"]
        assert not read(BY_NAME["visualplanning-minibehaviour"], tmp_path).seen

    @pytest.mark.parametrize("damage", ["gone", "text", "cut", "wide"])
    def test_pictures_that_cannot_be_shown(self, tmp_path: Path, damage: str) -> None:
        picture = write_lakes(tmp_path, LAKE, OTHER, plans={}) / "img" / "1.png"
        if damage == "gone":
            picture.unlink()
        elif damage == "wide":
            Image.new("RGB", (192, 64)).save(picture)
        else:
            picture.write_bytes(b"text" if damage == "text" else picture.read_bytes()[:60])
        assert len(read(LAKES, tmp_path).episodes) == 2
        found = read(LAKES, tmp_path, image="original")
        assert [(f.kind, Path(f.source).name) for f in found.findings] == [("bad", "1.txt")]
        assert len(found.episodes) == 1


class TestRuns:
    def test_large_mazes(self, tmp_path: Path) -> None:
        for size in (16, 32):
            write_maze(tmp_path / "sets" / f"{size}_test", size, f"{size}_9_001")
        suite, _ = load(outline("diffthinker-maze"), tmp_path / "sets", strict=True)
        assert [(e.id, e.shortest) for e in episodes(suite)] == [("maze/16/9_001", 45), ("maze/32/9_001", 93)]
        run(suite, tmp_path / "run", conditions=("visual", "symbolic", "perceive"))
        finished = load_run(tmp_path / "run")
        assert {sample.outcome for sample in finished.samples} == {"solved"}
        assert diagnose([finished]).tasks["maze"].state.f1.value == 1
        Explorer([finished])

    def test_digest_is_over_the_pixels_that_are_shown(self, tmp_path: Path) -> None:
        folder = write_lakes(tmp_path / "sets", LAKE, OTHER, plans={})

        def digests(image: str, root: Path = tmp_path / "sets") -> str:
            return digest(episodes(load(outline("diffthinker-frozenlake"), root, image)[0]))

        classic, original = digests("classic"), digests("original")
        assert classic != original
        assert original == digests("original", folder)  # wherever the folder is
        Image.new("RGB", (192, 192), (9, 9, 9)).save(folder / "img" / "1.png")
        assert classic == digests("classic")
        assert original != digests("original")

    def test_original_pictures_are_shown_resized(self, tmp_path: Path) -> None:
        write_lakes(tmp_path, LAKE)
        (episode,) = episodes(load(outline("paper"), tmp_path, "original")[0])
        assert episode.shown().shape == (256, 256, 3)
        assert (episode.shown() == (0, 100, 200)).all()
        assert episode.theme == "classic"

    def test_a_run_stands_without_the_pictures(self, tmp_path: Path) -> None:
        folder = write_lakes(tmp_path / "sets", LAKE, OTHER, plans={})
        suite, _ = load(outline("diffthinker-frozenlake"), tmp_path / "sets", "original")
        run(suite, tmp_path / "run")
        for file in folder.rglob("*.png"):
            file.unlink()
        finished = load_run(tmp_path / "run")
        assert list(finished.episodes.values()) == list(episodes(suite))
        assert digest(finished.episodes.values()) == finished.record["identity"]["episodes_digest"]
        assert finished.record["identity"]["image"] == "original"
        assert finished.record["sessions"][0]["origin"]["data_root"] == str((tmp_path / "sets").resolve())
        shown = [json.loads(line)["picture"] for line in Explorer([finished]).episodes.splitlines()]
        assert shown[0].endswith("the picture that comes with level3/table/0.txt.")
        with pytest.raises(ValueError, match="not known here"):
            finished.episodes["frozenlake/3/0000"].shown()

    def test_a_picture_that_changes_in_between_ends_the_run(self, tmp_path: Path) -> None:
        folder = write_lakes(tmp_path / "sets", LAKE, OTHER, plans={})
        suite, _ = load(outline("diffthinker-frozenlake"), tmp_path / "sets", "original")
        Image.new("RGB", (192, 192), (9, 9, 9)).save(folder / "img" / "1.png")
        with pytest.raises(UserError, match=r"1\.png: the picture has changed"):
            run(suite, tmp_path / "run")
        assert load_run(tmp_path / "run").record["status"] == "failed"

    def test_selection_and_lookup(self, tmp_path: Path) -> None:
        write_lakes(tmp_path, LAKE, OTHER, plans={})
        write_records(tmp_path, '{"meta"', task="maze")
        suite, loaded = load(select(outline("paper"), ["frozenlake"]), tmp_path, strict=True)
        assert [of.test_set.name for of in loaded] == ["diffthinker-frozenlake"]
        assert find_episode(suite, "frozenlake/3/0001").source == "level3/table/1.txt"
        with pytest.raises(UserError, match="levels=5: not in suite"):
            select(suite, [], [5])

    def test_theme(self, tmp_path: Path) -> None:
        write_lakes(tmp_path, LAKE)
        suite = with_theme(outline("paper"), "plain")
        found: list[Episode] = episodes(load(suite, tmp_path)[0])
        assert {episode.theme for episode in found} == {"plain"}
        assert get_task("frozenlake").themes[0] == "classic"


class TestCommandLine:
    def test_suites_are_listed_with_the_external_ones(self) -> None:
        shown = mgsd("suites")
        assert re.search(r"smoke .* 72 ", shown)
        assert re.search(r"paper .* 2,003 ", shown)
        assert "diffthinker-maze" in shown

    def test_generate_and_show(self, tmp_path: Path) -> None:
        write_lakes(tmp_path / "sets", LAKE)
        read = ("--suite", "paper", "--data-root", str(tmp_path / "sets"))
        mgsd("generate", str(tmp_path / "out"), *read, "--image", "original", "--size", "64")
        with Image.open(tmp_path / "out" / "images" / "frozenlake_3_0000.png") as image:
            assert image.size == (64, 64)
            assert image.getpixel((5, 5)) == (0, 100, 200)
        row = json.loads((tmp_path / "out" / "episodes.jsonl").read_text())
        assert row["source"] == "level3/table/0.txt"
        assert "plan: DRRD, solved; shortest: 4 actions" in mgsd("show", "frozenlake/3/0000", *read)

    def test_mistakes(self, tmp_path: Path) -> None:
        ask = ("eval", "--backend", "scripted", "--model", "oracle", "--suite", "paper")
        empty = tmp_path / "empty"
        empty.mkdir()
        assert "--data-root DIR" in error(*ask)
        assert "nowhere: no such file" in error(*ask, "--data-root", str(tmp_path / "nowhere"))
        assert "neither a DiffThinker folder nor" in error(*ask, "--data-root", str(empty))
        assert "neither a DiffThinker folder nor" in error("suites", "verify", str(empty))
        assert "--data-root: suite smoke is made" in error(*ask[:-1], "smoke", "--data-root", str(empty))
        assert "--image: suite smoke is made" in error(*ask[:-1], "smoke", "--image", "classic")
        assert "leave out --data-root" in error("generate", "x", "--count", "2", "--data-root", str(empty))
        write_lakes(tmp_path / "sets", LAKE)
        read = ("--data-root", str(tmp_path / "sets"))
        assert "--image photo: choose from classic, original" in error(*ask, *read, "--image", "photo")
        assert "--image photo" in error("suites", "verify", str(tmp_path / "sets"), "--image", "photo")
        assert "--theme plain" in error(*ask, *read, "--image", "original", "--theme", "plain")
        other = (*ask[:-1], "visualplanning-maze")
        assert "holds no usable record of suite visualplanning-maze" in error(*other, *read)

    def test_damage_and_strict(self, tmp_path: Path) -> None:
        write_lakes(tmp_path / "sets", LAKE, "damaged", plans={})
        bad = str(tmp_path / "sets" / "level3" / "table" / "1.txt")
        ask = ("eval", "--backend", "scripted", "--model", "oracle", "--suite", "paper")
        read = ("--data-root", str(tmp_path / "sets"), "--out", str(tmp_path / "run"))
        assert f"--strict: {bad}: " in error(*ask, *read, "--strict")
        assert not (tmp_path / "run").exists()
        assert f"left out: {bad}: " in mgsd(*ask, *read)
        assert f"left out: {bad}: " in mgsd("suites", "verify", str(tmp_path / "sets"))
        assert f"--strict: {bad}: " in mgsd("suites", "verify", str(tmp_path / "sets"), "--strict", code=2)
        (tmp_path / "sets" / "level3" / "table" / "0.txt").write_text("")
        assert "no usable record" in mgsd("suites", "verify", str(tmp_path / "sets"), code=2)
        assert bad not in error(*ask, *read).removesuffix(bad)

    def test_unknown_marks_are_damage(self, tmp_path: Path) -> None:
        """A mark that is not known may be anything, and was never ice."""
        write_lakes(tmp_path / "sets", LAKE, LAKE.replace("| # | *", "| X | *"), plans={})
        bad = str(tmp_path / "sets" / "level3" / "table" / "1.txt")
        ask = ("eval", "--backend", "scripted", "--model", "oracle", "--suite", "paper")
        read = ("--data-root", str(tmp_path / "sets"), "--out", str(tmp_path / "run"))
        assert f"--strict: {bad}: unknown marks 'X'" in error(*ask, *read, "--strict")
        shown = mgsd(*ask, *read)
        assert f"left out: {bad}: unknown marks 'X'" in shown
        assert "(by level 3: 1/100" in shown

    def test_special_files_are_one_line_at_once(self, tmp_path: Path) -> None:
        ask = ("eval", "--backend", "scripted", "--model", "oracle", "--suite", "paper", "--data-root")
        os.mkfifo(tmp_path / "test_dataset.jsonl")
        for path in (tmp_path, tmp_path / "test_dataset.jsonl"):
            assert "test_dataset.jsonl: a pipe, not a file" in error(*ask, str(path))
        assert "/dev/zero: neither" in error(*ask, "/dev/zero")

    def test_an_average_says_over_which_tasks_it_is(self, tmp_path: Path) -> None:
        """The paper's suite without its mazes."""
        write_lakes(tmp_path / "sets", LAKE)
        write_records(tmp_path / "sets", ROOM, task="minibehaviour")
        run = str(tmp_path / "run")
        ask = ("diagnose", "--backend", "scripted", "--model", "oracle", "--suite", "paper")
        shown = " ".join(mgsd(*ask, "--data-root", str(tmp_path / "sets"), "--out", run).split())
        missing = "nothing of maze here: averages over tasks are over frozenlake, minibehaviour alone"
        assert missing in shown
        over = "macro: equal-weight mean of frozenlake, minibehaviour"
        assert over in shown
        assert over in mgsd("report", run, "--format", "md")
        ask = ("eval", *ask[1:])
        shown = " ".join(mgsd(*ask, "--data-root", str(tmp_path / "sets"), "--out", str(tmp_path / "other")).split())
        assert missing in shown
        assert over in shown

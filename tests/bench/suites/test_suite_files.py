"""Suites as files and folders: the same everywhere a suite is named, and one line for whatever is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
import yaml
from PIL import Image

from mgsd_bench.analysis.run import load_run
from mgsd_bench.errors import UserError
from mgsd_bench.suites.check import check_levels
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.suite import digest, episodes
from mgsd_bench.suites.suite_file import EXAMPLE, shipped_names, shipped_suite
from mgsd_envs import episode_from_json, get_task, rollout
from support.commands import error, mgsd

SMALL = """\
name: small-v1
count: 4
parts:
  - {task: maze, levels: [3], count: 2, length: 3-4}
  - {task: frozenlake, levels: [4]}
conditions: [direct, symbolic]
prompts: compact
"""
ORACLE = ("--backend", "scripted", "--model", "oracle")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


def test_a_file_is_a_suite_with_its_own_conditions_and_prompts(small: Path, tmp_path: Path) -> None:
    shown = mgsd("eval", *ORACLE, "--suite", str(small), "--out", str(tmp_path / "run"))
    assert "conditions direct, symbolic, prompts compact" in shown
    run = load_run(tmp_path / "run")
    assert run.identity["suite"] == "small-v1"
    assert run.identity["prompts"] == "compact"
    assert run.conditions() == ["direct", "symbolic"]
    made = [(e.task, e.level, e.shortest) for e in run.episodes.values()]
    assert [level[:2] for level in made] == [("maze", 3)] * 2 + [("frozenlake", 4)] * 4
    assert {length for task, _, length in made if task == "maze"} <= {3, 4}


def test_options_win_over_the_file(small: Path, tmp_path: Path) -> None:
    words = ("--suite", str(small), "--condition", "visual", "--prompts", "default", "--out", str(tmp_path / "run"))
    mgsd("eval", *ORACLE, *words)
    run = load_run(tmp_path / "run")
    assert (run.conditions(), run.identity["prompts"]) == (["visual"], "default")


def test_cells_of_a_size_make_larger_pictures_of_larger_boards(small: Path, tmp_path: Path) -> None:
    small.write_text(SMALL + "cell: 100\nmax_pixels: 300000\n")
    shown = mgsd("eval", *ORACLE, "--suite", str(small), "--out", str(tmp_path / "run"))
    assert "max_pixels 300000" in shown
    run = load_run(tmp_path / "run")
    assert run.identity["pixels"] == [65_536, 300_000]
    assert {episode.shown().shape for episode in run.episodes.values()} == {(300, 300, 3), (400, 400, 3)}
    mgsd("generate", str(tmp_path / "written"), "--suite", str(small))
    with Image.open(tmp_path / "written" / "images" / "frozenlake_4_0000.png") as image:
        assert image.size == (400, 400)
    assert digest(episodes(find_suite(str(tmp_path / "written")))) == run.identity["episodes_digest"]
    answers = tmp_path / "answers.jsonl"
    rows = ({"episode": name, "text": "", "condition": "direct"} for name in run.episodes)
    answers.write_text("".join(json.dumps(row) + "\n" for row in rows))
    collected = ("--answers", str(answers), "--suite", str(small), "--out", str(tmp_path / "scored"))
    mgsd("score", *collected, "--condition", "direct")


@pytest.mark.parametrize("pixels", [15, 4097, True, 256.0, None, "256"])
def test_pictures_have_a_possible_size(pixels: object) -> None:
    data = episodes(find_suite("smoke"))[0].to_json() | {"level": 4, "pixels": pixels}
    with pytest.raises(ValueError, match="no side of a picture"):
        episode_from_json(data)


@pytest.mark.parametrize("name", ["id", "theme"])
@pytest.mark.parametrize("value", [None, True, 7, ["classic"]])
def test_names_of_episodes_are_texts(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{name} .* is no text"):
        episode_from_json(episodes(find_suite("smoke"))[0].to_json() | {name: value})


def test_a_diagnosis_asks_what_it_needs(small: Path, tmp_path: Path) -> None:
    mgsd("diagnose", *ORACLE, "--suite", str(small), "--out", str(tmp_path / "run"))
    assert load_run(tmp_path / "run").conditions() == ["perceive", "symbolic", "visual"]


def test_prompts_are_found_beside_the_file(small: Path, tmp_path: Path) -> None:
    for task in ("maze", "frozenlake"):
        folder = tmp_path / "mine" / task
        folder.mkdir(parents=True)
        (folder / "direct.txt").write_text("Which way? <answer>R</answer>")
    small.write_text(SMALL.replace("prompts: compact", "prompts: mine").replace("[direct, symbolic]", "[direct]"))
    mgsd("eval", *ORACLE, "--suite", str(small), "--out", str(tmp_path / "run"))
    assert load_run(tmp_path / "run").prompts == dict.fromkeys(
        ["frozenlake/direct", "maze/direct"], "Which way? <answer>R</answer>"
    )


def test_a_generated_folder_is_the_suite_that_it_was_written_from(small: Path, tmp_path: Path) -> None:
    folder = tmp_path / "written"
    mgsd("generate", str(folder), "--suite", str(small))
    suite = find_suite(str(folder))
    assert suite.name == "written"
    assert digest(episodes(suite)) == digest(episodes(find_suite(str(small))))
    mgsd("eval", *ORACLE, "--suite", str(folder), "--tasks", "maze", "--out", str(tmp_path / "run"))
    assert list(load_run(tmp_path / "run").episodes) == ["maze/3/0000", "maze/3/0001"]
    assert "shortest" in mgsd("show", "maze/3/0001", "--suite", str(folder))
    assert "400 of 400" not in mgsd("suites", "check", str(folder))


def test_a_folder_that_was_changed_is_refused(small: Path, tmp_path: Path) -> None:
    folder = tmp_path / "written"
    mgsd("generate", str(folder), "--suite", str(small))
    lines = (folder / "episodes.jsonl").read_text().splitlines()
    (folder / "episodes.jsonl").write_text("\n".join(lines[1:]) + "\n")
    assert "not the episodes that" in error("suites", "check", str(folder))
    (folder / "episodes.jsonl").write_text("\n".join([lines[0], "{}"]) + "\n")
    assert "episodes.jsonl:2" in error("suites", "check", str(folder))
    (folder / "suite.json").write_text("[" * 100_000)
    assert "suite.json: damaged" in error("suites", "check", str(folder))
    assert "no suite that `generate` wrote" in error("suites", "check", str(tmp_path))


def test_the_example_has_every_key_and_is_what_it_says_of_defaults(tmp_path: Path) -> None:
    path = tmp_path / "My suite.yaml"
    assert "suites check" in mgsd("suites", "new", str(path))
    assert "is there already" in error("suites", "new", str(path))
    (tmp_path / "nowhere").symlink_to("nowhere")
    assert "is there already" in error("suites", "new", "nowhere", cwd=tmp_path)
    suite = find_suite(str(path))
    assert suite.name == "My-suite-v1"
    given = yaml.safe_load(path.read_text())
    schema = json.loads(mgsd("schema", "suite"))
    assert set(given) == set(schema["properties"])
    bare = {key: value for key, value in given.items() if key in ("name", "about", "parts")}
    path.write_text(yaml.safe_dump(bare))
    assert find_suite(str(path)) == suite
    assert "{" not in EXAMPLE.replace("{name}", "")


def test_check_says_what_is_there() -> None:
    suite = find_suite("smoke")
    asked = episodes(suite)
    levels = {(each.task, each.level): each for each in check_levels(suite, asked)}
    assert sum(each.episodes for each in levels.values()) == len(asked) == 72
    lakes = levels["frozenlake", 3]
    assert lakes.states == pytest.approx(0.2 * 6792, rel=0.1)
    assert levels["maze", 6].states is None
    mine = [episode for episode in asked if (episode.task, episode.level) == ("frozenlake", 3)]
    task = get_task("frozenlake")
    blind = [rollout(task, each.state, task.straight(each.state)).outcome == "solved" for each in mine]
    assert lakes.straight == sum(blind) / len(blind)
    assert lakes.shortest == (min(each.shortest for each in mine), max(each.shortest for each in mine))
    assert 0 < lakes.random < 0.5
    shown = mgsd("suites", "check", "smoke", "--condition", "visual,symbolic")
    assert "visual" in shown
    assert "perceive" not in shown


def test_what_is_asked_turn_by_turn_is_not_counted_beforehand(tmp_path: Path) -> None:
    small = tmp_path / "small.yaml"
    small.write_text(f"{SMALL.replace('direct', 'act')}")
    shown = mgsd("suites", "check", str(small))
    assert "symbolic" in shown
    assert " act" not in shown
    said = error("suites", "check", str(small), "--condition", "act")
    assert "--condition act: choose from visual, symbolic, perceive, direct\n" in f"{said}\n"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "mgsd-v1"}, "name: 'mgsd-v1' is the name of a suite of the project; choose another"),
        ({"name": "../x"}, "name: '../x' is no name; write letters, digits"),
        ({"parts": []}, "parts: is empty; write for example"),
        (
            {"parts": [{"task": "chess", "levels": [3]}]},
            "parts[0].task: 'chess' is not installed; choose from frozenlake",
        ),
        ({"parts": [{"task": "maze", "levels": []}]}, "parts[0].levels: is empty"),
        ({"parts": [{"task": "maze", "levels": [40]}]}, "parts[0].levels: 40 is not possible; maze has levels 2 to 32"),
        ({"parts": [{"task": "maze", "levels": [3, 3]}]}, "parts: maze 3 comes twice; leave one out"),
        ({"parts": [{"task": "maze", "level": [3]}]}, "parts[0].level: no such key; did you mean levels?"),
        ({"looks": ["neon"]}, "looks: 'neon' is unknown to maze"),
        ({"mix": {"length": "9-4"}}, "mix.length: '9-4' is no length; write one or two"),
        ({"count": 10**9}, "count: 1000000000 is not a whole number between 1 and 100000"),
        ({"conditions": ["smell"]}, "conditions: 'smell' is not known; choose from visual"),
        ({"split": "exam"}, "split: 'exam' is not known; choose from train"),
    ],
)
def test_a_mistake_is_one_line(small: Path, change: dict[str, object], says: str) -> None:
    small.write_text(yaml.safe_dump({**yaml.safe_load(SMALL), **change}))
    assert f"{small}: {says}" in error("suites", "check", str(small))


def _refusal(path: Path) -> str | None:
    try:
        assert find_suite(str(path)).parts
    except UserError as problem:
        return str(problem)
    return None


def test_damaged_files_are_one_line_each(tmp_path: Path) -> None:
    """200 files with one to three bytes changed, left out or doubled: a suite, or one line that names the file."""
    rng, refused = Random(1), 0
    for _ in range(200):
        data = bytearray(SMALL.encode())
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(data))
            data[at : at + rng.randint(0, 2)] = rng.choice([b"", bytes([rng.randrange(256)]), data[at : at + 9] * 2])
        path = tmp_path / "damaged.yaml"
        path.write_bytes(data)
        said = _refusal(path)
        assert said is None or (said.startswith(str(path)) and "\n" not in said), said
        refused += said is not None
    assert refused > 100


def test_every_shipped_suite_is_a_file() -> None:
    assert {"mgsd-v1", "mgsd-v2", "tiny-v1", "smoke"} <= set(shipped_names())
    assert all(shipped_suite(name).name == name for name in shipped_names())

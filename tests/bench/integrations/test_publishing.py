"""Publishing a dataset: what is refused before, and what huggingface_hub sends to a hub that stands in for the real."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.commands import mgsd
from support.hub import TOKEN, Hub, Reply

constants = pytest.importorskip("huggingface_hub.constants")
pytest.importorskip("pyarrow")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("datasets") / "made"
    asked = ("--suite", "smoke", "--tasks", "frozenlake,maze", "--levels", "4", "--limit", "2", "--size", "64")
    mgsd("generate", str(out), *asked, "--format", "parquet", "--train", "2")
    return out


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "data"))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)  # between tries
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("NO_PROXY", "*")
    with Hub() as stand_in:
        monkeypatch.setenv("HF_ENDPOINT", stand_in.url)
        yield stand_in


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(folder: Path, *more: str, code: int = 2) -> list[str]:
    """The lines of what is refused; the last one says so."""
    shown = mgsd("publish", str(folder), *(more or ("--dry-run",)), code=code)
    assert TOKEN not in shown
    return [line for line in shown.splitlines() if line.startswith("mgsd-bench: ")]


def test_dry_run_says_what_would_be_sent(folder: Path, hub: Hub) -> None:
    (folder / "notes.txt").write_text("mine")
    shown = mgsd("publish", str(folder), "--repo", "me/lakes", "--dry-run")
    about = json.loads((folder / "suite.json").read_text())
    for each in about["files"]:
        assert f"{each['path']} " in shown
        assert f"{each['size']:,}" in shown
    for split in about["splits"].values():
        assert f"{split['episodes']} episodes, digest {split['digest']}" in shown
    assert "licence mit" in shown
    assert "not sent: notes.txt" in shown
    assert "up to symmetry" in shown
    assert "would be sent to me/lakes: 7 files" in shown
    assert hub.asked == []


@pytest.mark.parametrize("mode", ["lfs", "regular"])
def test_publish_sends_the_folder(folder: Path, hub: Hub, mode: str) -> None:
    hub.mode = mode
    shown = mgsd("publish", str(folder), "--repo", "me/lakes")
    assert hub.repos["me/lakes"] == contents(folder)
    assert hub.made["me/lakes"]["visibility"] == "private"
    assert f"7 files of 0.1 MiB in me/lakes: {hub.url}/datasets/me/lakes/commit/" in shown
    assert TOKEN not in shown


def test_a_second_time_replaces_what_was_there(folder: Path, hub: Hub) -> None:
    hub.repos["me/lakes"] = {"maze/test-00007.parquet": b"old", "figure.png": b"mine"}
    mgsd("publish", str(folder), "--repo", "me/lakes", "--public")
    assert hub.repos["me/lakes"] == contents(folder) | {"figure.png": b"mine"}
    assert hub.commits == 1


def test_public_if_asked(folder: Path, hub: Hub) -> None:
    mgsd("publish", str(folder), "--repo", "me/lakes", "--public")
    assert hub.made["me/lakes"]["visibility"] == "public"


@pytest.mark.parametrize(
    ("part", "reply", "code", "said"),
    [
        ("create", (401, {"error": f"bad {TOKEN}"}), 2, "does not know the token"),
        ("create", (500, {"error": f"bad {TOKEN}"}), 5, "answers 500"),
        ("create", (200, b"<html>"), 5, "does not answer as it should"),
        ("create", (200, b"\x1b[31m"), 5, "does not answer as it should"),
        ("tree", (200, b"<html>"), 5, "does not answer as it should"),
        ("validate", (400, {"errors": [{"message": f"license {TOKEN}"}]}), 2, "does not take it"),
        ("preupload", (503, b""), 5, "answers 503"),
        ("preupload", (200, {"files": []}), 5, "does not answer as it should"),
        ("batch", (200, {"objects": 1}), 5, "does not answer as it should"),
        ("/lfs/", (403, b"<Error>expired</Error>"), 2, "does not let this token write there"),
        ("commit", (200, {}), 5, "does not answer as it should"),
        ("commit", (409, {"error": "changed"}), 2, "changed meanwhile"),
    ],
)
def test_bad_replies_are_one_line(folder: Path, hub: Hub, part: str, reply: Reply, code: int, said: str) -> None:
    hub.faults[part] = reply
    (line,) = refused(folder, "--repo", "me/lakes", code=code)
    assert said in line
    assert line.startswith(f"mgsd-bench: --repo me/lakes: the hub at {hub.url} ")
    assert not hub.repos.get("me/lakes")


def test_not_ones_own(folder: Path, hub: Hub) -> None:
    (line,) = refused(folder, "--repo", "others/lakes")
    assert "name a repository of your own" in line


def test_nobody_there(folder: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    (line,) = refused(folder, "--repo", "me/lakes", code=5)
    assert "cannot be reached" in line


@pytest.mark.parametrize("offline", [False, True])
def test_the_password_of_a_hub_is_not_shown(
    folder: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, offline: bool
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://bob:hunter2secret@127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    (line,) = refused(folder, "--repo", "me/lakes", code=2 if offline else 5)
    assert "the hub at http://127.0.0.1:9 " in line
    assert "hunter2secret" not in line


def test_no_token(folder: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    (line,) = refused(folder, "--repo", "me/lakes")
    assert "hf auth login" in line
    assert hub.asked == []


@pytest.mark.parametrize("name", ["lakes", "me/", "/lakes", "me/a/b", "me/..", "me/la kes", "me/é", "-/x"])
def test_names_that_are_none(folder: Path, name: str) -> None:
    (line,) = refused(folder, "--repo", name, "--dry-run")
    assert "OWNER/NAME" in line


def test_where_to_has_to_be_said(folder: Path) -> None:
    (line,) = refused(folder, "--message", "x")
    assert "--repo" in line


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("README.md", "license: mit", "license: unknown", "license: name one"),
        ("README.md", "license: mit", "license: other", "license_name"),
        ("README.md", "pretty_name", "ugly_name", "pretty_name"),
        ("README.md", "dtype: int32", "dtype: int64", "dataset_info does not say what the files hold"),
        ("README.md", "path: maze/test", "path: lake/test", "configs does not say"),
        ("README.md", "num_examples: 2", "num_examples: 3", "dataset_info does not say"),
        ("README.md", "---\n", "", "front matter"),
        ("README.md", "license: mit", "license: [", "README.md"),
        ("README.md", "tags:\n- mgsd-bench\n", "tags: x\n# ", "README.md"),
        ("eval.yaml", "id: e2e", "id: other", "tasks"),
        ("eval.yaml", "framework: mgsd-bench", "framework: inspect-ai", "evaluation_framework"),
        ("eval.yaml", "name: MGSD-Bench", "name: ''", "name: write a text"),
        ("suite.json", '"episodes": 4', '"episodes": 5', "not the episodes"),
        ("suite.json", '"sha256": "', '"sha256": "0', "not what was written"),
        ("suite.json", '"rows": 2', '"rows": 3', "README.md: dataset_info"),
        ("suite.json", "maze/test-00000", "../maze/test-00000", "damaged"),
        ("suite.json", '"format": "parquet"', '"format": "folder"', "no dataset"),
    ],
)
def test_what_is_not_as_it_should_be(folder: Path, file: str, old: str, new: str, said: str) -> None:
    edit(folder / file, old, new)
    lines = refused(folder)
    assert any(said in line for line in lines), lines
    assert str(folder) in lines[-1]


def test_files_that_are_not_as_they_were(folder: Path) -> None:
    (folder / "maze" / "test-00000.parquet").write_bytes(b"PAR1")
    (folder / "frozenlake" / "test-00000.parquet").unlink()
    shutil.copy(folder / "maze" / "train-00000.parquet", folder / "maze" / "train-00001.parquet")
    (folder / "eval.yaml").rename(folder.parent / "eval.yaml")
    (folder / "eval.yaml").symlink_to("../eval.yaml")
    said = "\n".join(refused(folder))
    for name, fault in {
        "maze/test-00000.parquet": "not what was written",
        "frozenlake/test-00000.parquet": "is missing",
        "maze/train-00001.parquet": "remove it",
        "eval.yaml": "leads out of the folder",
    }.items():
        assert f"{folder / name}: {fault}" in said or (name in said and fault in said)
    assert "4 faults, see above; nothing was sent" in said


def test_training_episodes_that_are_test_episodes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever puts test episodes into the training split is told how many."""
    from mgsd_bench.prompts import load_prompts
    from mgsd_bench.suites.dataset import read_about, read_split, write_dataset
    from mgsd_bench.suites.parquet import Asked

    test = read_split(folder, read_about(folder), "test")
    leaky = folder.parent / "leaky"
    write_dataset({"test": test, "train": test}, leaky, "mine", Asked(load_prompts("default", test, ["visual"])))
    lines = refused(leaky)
    assert f"{len(test)} test episodes are among those to train on" in lines[0]


def test_no_dataset(tmp_path: Path) -> None:
    (line,) = refused(tmp_path)
    assert "generate --format parquet" in line


def test_an_address_that_is_none(folder: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://[::1")
    (line,) = refused(folder, "--repo", "me/lakes", code=5)
    assert "cannot be reached" in line

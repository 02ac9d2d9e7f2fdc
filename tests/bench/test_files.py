"""Files and folders that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import threading
from multiprocessing import get_context
from pathlib import Path

import pytest

from mgsd_bench.files import append, whole_folder, write_whole
from support.commands import error

by_name = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes by name here")


def test_what_a_killed_process_has_left_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / ".note.txt.tmp").write_text("much longer than what comes now")
    write_whole(tmp_path / "note.txt", "short")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("note.txt", "short")]


def test_many_writers_of_one_file_leave_one_of_their_texts(tmp_path: Path) -> None:
    texts = [str(number) * (20_000 + number) for number in range(8)]

    def write(text: str) -> None:
        for _ in range(10):
            write_whole(tmp_path / "note.txt", text)
            assert (tmp_path / "note.txt").read_text() in texts

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "note.txt").read_text() in texts
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def synced(descriptor: int) -> None:
        assert os.pread(descriptor, 10, 0) == b"new"
        assert (tmp_path / "note.txt").read_text() == "old"
        seen.append(descriptor)

    seen: list[int] = []
    (tmp_path / "note.txt").write_text("old")
    monkeypatch.setattr(os, "fsync", synced)
    write_whole(tmp_path / "note.txt", "new")
    assert len(seen) == 1


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "note.txt").write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path / "note.txt", "new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("note.txt", "old")]


def test_a_planted_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    (tmp_path / ".note.txt.tmp").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match=r"symbolic|links"):
        write_whole(tmp_path / "note.txt", "new")
    assert (tmp_path / "victim").read_text() == "mine"


def test_a_folder_appears_as_a_whole(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "out") as part:
        (part / "one").write_text("1")
        assert not (tmp_path / "out").exists()
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["out", "out/one"]


def test_a_folder_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with whole_folder(tmp_path / "out") as part:
            (part / "one").write_text("1")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not list(tmp_path.iterdir())


def _killed_within(out: Path) -> None:
    with whole_folder(out) as part:
        (part / "old").mkdir()
        (part / "old" / "one").write_text("1")
        os.kill(os.getpid(), 9)


def test_a_folder_begun_by_a_killed_process_is_begun_anew(tmp_path: Path) -> None:
    process = get_context("fork").Process(target=_killed_within, args=(tmp_path / "out",))
    process.start()
    process.join()
    assert [path.name for path in tmp_path.iterdir()] == [".out.part"]
    with whole_folder(tmp_path / "out") as part:
        (part / "two").write_text("2")
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["out", "out/two"]


def test_two_processes_do_not_fill_the_same_folder(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "out") as part:
        (part / "one").write_text("1")
        with pytest.raises(OSError, match="another process is writing it"), whole_folder(tmp_path / "out"):
            raise AssertionError
        assert (part / "one").read_text() == "1"
    assert (tmp_path / "out" / "one").read_text() == "1"


def test_a_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for text in ("one\n", b"two\n"):
        write_whole(path, text)
    assert path.read_text() == "two\n"
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]


@by_name
@pytest.mark.parametrize("write", [write_whole, append])
def test_a_pipe_is_written_to_and_stays_one(write: type[write_whole], tmp_path: Path) -> None:
    path, read = tmp_path / "pipe", []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: read.append(path.read_text()))
    reader.start()
    while reader.is_alive():
        try:
            write(path, "x" * 100_000)  # more than a pipe holds
            break
        except OSError:  # nobody has opened it yet
            continue
    reader.join(10)
    assert read == ["x" * 100_000]
    assert path.is_fifo()
    assert len(list(tmp_path.iterdir())) == 1


@by_name
@pytest.mark.timeout(30)
@pytest.mark.parametrize("words", [("schema", "policy"), ("show", "frozenlake/4/0000", "--suite", "smoke")])
def test_a_pipe_that_nobody_reads_is_no_wait(words: tuple[str, ...], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "cannot be written" in error(*words, "--out", str(tmp_path / "pipe"))
    assert (tmp_path / "pipe").is_fifo()


@by_name
def test_a_device_stays_one(tmp_path: Path) -> None:
    """Whoever runs as root would else lose it."""
    (tmp_path / "null").symlink_to("/dev/null")
    write_whole(tmp_path / "null", "text")
    assert (tmp_path / "null").is_symlink()
    assert (tmp_path / "null").is_char_device()


@by_name
def test_where_standard_output_leads_is_written_to(tmp_path: Path) -> None:
    """``/dev/stdout`` is a link, and what it leads to may be a file."""
    with (tmp_path / "shown.txt").open("w") as stream:
        write_whole(Path(f"/proc/self/fd/{stream.fileno()}"), "text")
    assert (tmp_path / "shown.txt").read_text() == "text"

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from mgsd_bench.files import append, write_whole
from support.commands import error

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes by name here")


def test_a_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for text in ("one\n", b"two\n"):
        write_whole(path, text)
    assert path.read_text() == "two\n"
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]


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


@pytest.mark.timeout(30)
@pytest.mark.parametrize("words", [("schema", "policy"), ("show", "frozenlake/4/0000", "--suite", "smoke")])
def test_a_pipe_that_nobody_reads_is_no_wait(words: tuple[str, ...], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "cannot be written" in error(*words, "--out", str(tmp_path / "pipe"))
    assert (tmp_path / "pipe").is_fifo()


def test_a_device_stays_one(tmp_path: Path) -> None:
    """Whoever runs as root would else lose it."""
    (tmp_path / "null").symlink_to("/dev/null")
    write_whole(tmp_path / "null", "text")
    assert (tmp_path / "null").is_symlink()
    assert (tmp_path / "null").is_char_device()


def test_where_standard_output_leads_is_written_to(tmp_path: Path) -> None:
    """``/dev/stdout`` is a link, and what it leads to may be a file."""
    with (tmp_path / "shown.txt").open("w") as stream:
        write_whole(Path(f"/proc/self/fd/{stream.fileno()}"), "text")
    assert (tmp_path / "shown.txt").read_text() == "text"

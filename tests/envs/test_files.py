"""Files that a user names: what is no regular file is refused at once."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from mgsd_envs.files import open_regular, read_bytes, read_text


def test_regular_files_are_read(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes("ä\r\nb\rc\n".encode())
    assert read_bytes(file) == "ä\r\nb\rc\n".encode()
    assert read_text(file) == "ä\nb\nc\n"
    (tmp_path / "link").symlink_to(file)
    with open_regular(tmp_path / "link") as stream:
        assert list(stream) == ["ä\r\n".encode(), b"b\rc\n"]


@pytest.mark.timeout(20)
def test_pipes_devices_sockets_and_folders_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "socket"))
    for name, kind in (("pipe", "a pipe"), ("link", "a pipe"), ("/dev/zero", "a device")):
        with pytest.raises(OSError, match=f"{kind}, not a file"):
            read_bytes(tmp_path / name)
    with pytest.raises(OSError, match="socket"):
        read_bytes(tmp_path / "socket")
    server.close()
    with pytest.raises(IsADirectoryError):
        read_bytes(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "none")

"""A sample of the files that mean harm, with the real commands; all of them: benchmarks/reliability_files.py."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest

from mgsd_bench.backends.checkpoints import check_model
from mgsd_bench.config.layers import MOST_VALUES, parse_yaml, read_layer
from mgsd_bench.errors import UserError
from mgsd_bench.files import write_whole
from mgsd_bench.report.text import markdown_text
from mgsd_envs.files import LARGEST, read_bytes, read_lines
from support.commands import error
from support.forking import Forker
from support.hostile_file_runs import outcomes, spread


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_sample_of_attacks(tmp_path: Path) -> None:
    attacks = [attack for attack in spread(4) if attack.environment is None]
    assert len({attack.kind for attack in attacks}) > 4
    with Forker() as forker:
        found = list(outcomes(forker, attacks, tmp_path, None))
    assert {each.attack.name: each.problems for each in found if each.problems} == {}


def test_files_without_measure_are_not_read(tmp_path: Path) -> None:
    hole = tmp_path / "hole"
    hole.touch()
    os.truncate(hole, 10**11)
    with pytest.raises(OSError, match="has more than"):
        read_bytes(hole)
    with pytest.raises(UserError, match="has more than"):
        read_layer(hole)
    with hole.open("rb") as stream, pytest.raises(OSError, match="line 1 has more than 1,000 bytes"):
        next(read_lines(stream, 1000))
    hole.write_bytes(b"x" * (LARGEST + 1))
    with pytest.raises(OSError, match="has more than"):
        read_bytes(hole)
    hole.write_bytes(b"a\nbb\nc")
    with hole.open("rb") as stream:
        assert list(read_lines(stream, 3)) == [b"a\n", b"bb\n", b"c"]


def test_what_is_no_file_stays_as_it_is(tmp_path: Path) -> None:
    """As a superuser's `--out /dev/null` would else put a file in the place of the device."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        with pytest.raises(OSError, match="No such device"):  # nobody reads it
            write_whole(tmp_path / name, "x")
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "link").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10) if i else 'x'}]" for i in range(9)), "aliases"),
        (f"a: [{', '.join(['x'] * MOST_VALUES)}]", "values"),
        ("a: 0x" + "f" * 10_000, "more than 64 bits"),
        ("a: 59" + ":59" * 5_000, "more than 64 bits"),
        ("a: !!python/object/apply:os.getcwd []", "not YAML"),
    ],
)
def test_settings_that_would_blow_up(text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse_yaml(text, "here")


def test_aliases_are_still_there() -> None:
    assert parse_yaml("a: &a {b: 1}\nc: *a\n", "here") == {"a": {"b": 1}, "c": {"b": 1}}


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps({}))
    with pytest.raises(UserError, match=r"pytorch_model\.bin, a pickle"):
        check_model(str(tmp_path))
    (tmp_path / "model.safetensors").touch()
    check_model(str(tmp_path))
    (tmp_path / "tokenizer.json").touch()
    os.truncate(tmp_path / "tokenizer.json", 10**10)
    with pytest.raises(UserError, match=r"tokenizer\.json has more than"):
        check_model(str(tmp_path))


def test_no_file_switches_code_of_a_checkpoint_on(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(json.dumps({"model": "x", "trust_remote_code": True}))
    said = error("eval", "--config", str(tmp_path / "s.yaml"), "--out", str(tmp_path / "run"))
    assert "trust_remote_code: no file can switch this on; give --trust-remote-code" in said


def test_names_that_are_too_long(tmp_path: Path) -> None:
    for words in (("report", "x" * 300), ("eval", "--model", "y/" * 3000 + "z"), ("train", "x" * 300)):
        assert "name too long" in error(*words, cwd=tmp_path).lower()


@pytest.mark.parametrize(
    "text", ["http://example.invalid", "HTTPS://x.example", "www.example.com", "ftp://a.example/b"]
)
def test_addresses_are_mere_text_in_markdown(text: str) -> None:
    from markdown_it import MarkdownIt

    rendered = MarkdownIt("gfm-like").parseInline(markdown_text(text))[0]
    assert "".join(token.content for token in rendered.children or ()) == text
    assert markdown_text(text) != text

"""Which part of a run a shard is: as it is written, and as a job's task is told."""

from __future__ import annotations

import pytest

from mgsd_bench.errors import UserError
from mgsd_bench.runs.questions import Questions
from mgsd_bench.runs.shards import Shard
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.suite import episodes


@pytest.mark.parametrize(
    ("text", "environment", "shard"),
    [
        ("1/1", {}, Shard(1, 1)),
        ("2/7", {"SLURM_PROCID": "5", "SLURM_NTASKS": "7"}, Shard(2, 7)),
        ("auto", {"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, Shard(1, 4)),
        ("auto", {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "1"}, Shard(3, 4)),
        (
            "auto",
            {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_PROCID": "0", "SLURM_NTASKS": "1"},
            Shard(4, 4),
        ),
        ("auto", {"JOB_COMPLETION_INDEX": "2", "JOB_COMPLETIONS": "3"}, Shard(3, 3)),
        ("auto/5", {"JOB_COMPLETION_INDEX": "2"}, Shard(3, 5)),
    ],
)
def test_where_it_is_said(text: str, environment: dict[str, str], shard: Shard) -> None:
    assert Shard.parse(text, environment) == shard


@pytest.mark.parametrize(
    ("text", "environment", "words"),
    [
        ("0/7", {}, "shards count from 1"),
        ("8/7", {}, "shards count from 1"),
        ("1/0", {}, "shards count from 1"),
        ("1/999999", {}, "at most 100,000"),
        ("2", {}, "such as 2/7"),
        ("-1/7", {}, "such as 2/7"),
        ("a/b", {}, "such as 2/7"),
        ("auto", {}, "no task of a job"),
        ("auto", {"JOB_COMPLETION_INDEX": "2"}, "no task of a job"),
        ("auto/2", {"JOB_COMPLETION_INDEX": "2"}, "none of 2 tasks"),
        ("auto", {"SLURM_PROCID": "x", "SLURM_NTASKS": "7"}, "no task of a job"),
        ("auto", {"SLURM_PROCID": "9" * 5000, "SLURM_NTASKS": "7"}, "no task of a job"),
    ],
)
def test_where_it_is_not(text: str, environment: dict[str, str], words: str) -> None:
    with pytest.raises(UserError, match=words) as raised:
        Shard.parse(text, environment)
    assert raised.value.option == "shard"


def test_shards_are_all_of_it_and_nothing_twice() -> None:
    whole = episodes(find_suite("smoke"))
    parts = [Shard(number, 7).part(whole) for number in range(1, 8)]
    assert sorted(name for part in parts for name in part.ids) == sorted(whole.ids)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    with pytest.raises(UserError, match="name at most as many shards"):
        Shard(1, len(whole) + 1).part(whole)


def test_keys_are_known_without_a_question() -> None:
    asked = Questions(episodes(find_suite("smoke")), ["visual", "act"], 2)
    made = [question.key for question in asked]
    assert len(made) == len(asked)
    assert list(asked.asked_keys()) == made
    left = [question.key for question in asked.without(frozenset(made[1:]))]
    assert left == made[:1]

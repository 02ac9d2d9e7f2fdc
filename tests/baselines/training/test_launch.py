"""What is launched is looked at before anything is loaded."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from mgsd_baselines.recipe_file import load_recipe
from mgsd_baselines.training.launch import Launch, ToldElsewhereError, check_launch
from mgsd_baselines.training.train import _PROCESSES, _checkpoint, train
from mgsd_bench.errors import Exit, UserError
from mgsd_bench.files import sole_user
from support.commands import mgsd
from support.launching import launch, trainers
from support.parallel_cases import FSDP

pytestmark = pytest.mark.train

DOCS = Path(__file__).parents[3] / "docs" / "training.md"
RECIPES = Path(__file__).parents[3] / "baselines" / "recipes"
ONE_STAGE = ("stages.pretrain=null", "stages.cold-start=null", "stages.self-distill.teacher.model=null", "start=null")
TWO = {
    "RANK": "0",
    "LOCAL_RANK": "0",
    "WORLD_SIZE": "2",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29500",
}


@pytest.fixture(scope="module")
def context() -> ForkServerContext:
    return trainers()


def without(*names: str) -> dict[str, str]:
    return {name: value for name, value in TWO.items() if name not in names}


def test_what_a_launcher_says_is_read() -> None:
    recipe = load_recipe("tiny")
    assert check_launch(recipe, {}, None) == Launch()
    assert check_launch(recipe, TWO, None) == Launch(2, 2, 0)
    assert check_launch(recipe, {**TWO, "RANK": "1", "LOCAL_RANK": "1"}, 2) == Launch(2, 2, 1)
    ninth = {**TWO, "RANK": "9", "WORLD_SIZE": "16", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "8"}
    small = load_recipe("tiny", [f"stages.{stage.name}.micro_batch=1" for stage in recipe.stages])
    assert check_launch(small, ninth, 8) == Launch(16, 8, 1)
    assert check_launch(load_recipe("mgsd-4b-paper"), {**TWO, **FSDP}, 2).sharded


@pytest.mark.parametrize(
    ("environ", "gpus", "said"),
    [
        (without("RANK"), None, r"WORLD_SIZE, .* set, but not RANK: start it with torchrun"),
        ({"RANK": "1"}, None, "RANK set, but not WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT"),
        ({**TWO, "RANK": "2"}, None, "RANK=2 and WORLD_SIZE=2 contradict each other"),
        ({**TWO, "RANK": "x"}, None, "RANK=x is no number"),
        ({**TWO, "LOCAL_WORLD_SIZE": "3"}, None, "LOCAL_WORLD_SIZE=3 and WORLD_SIZE=2 contradict each other"),
        (TWO, 1, "2 processes on this machine and 1 GPU: .* launch at most 1"),
        ({**TWO, "WORLD_SIZE": "3", "LOCAL_WORLD_SIZE": "3"}, None, "no multiple of micro_batch 16 on 3 processes"),
        ({**TWO, "ACCELERATE_USE_FSDP": "true"}, None, "FSDP_VERSION: only version 2"),
        ({**TWO, **FSDP}, None, "rows of stage cold-start are with and without pictures"),
        ({**TWO, **FSDP}, None, r"\(FSDP\); leave out one sort"),
    ],
)
def test_a_wrong_launch_is_one_line(environ: dict[str, str], gpus: int | None, said: str) -> None:
    recipe = load_recipe("tiny", ["stages.pretrain=null", "stages.self-distill.teacher.model=null"])
    with pytest.raises(UserError, match=said) as found:
        check_launch(recipe, environ, gpus)
    assert not isinstance(found.value, ToldElsewhereError)
    other = {**environ, "LOCAL_RANK": "1"} | ({"RANK": "1"} if environ.get("RANK") == "0" else {})
    with pytest.raises(ToldElsewhereError):
        check_launch(recipe, other, gpus)


def test_validation_with_and_without_pictures_is_not_sharded() -> None:
    recipe = load_recipe("tiny-smoke", [*ONE_STAGE, "stages.self-distill.micro_batch=8"])
    with pytest.raises(UserError, match=r"validation\.conditions of stage self-distill"):
        check_launch(recipe, {**TWO, **FSDP}, None)


def test_two_launches_into_one_folder(tmp_path: Path) -> None:
    """The second one is turned away before it loads anything, with --resume too, and the folder stays as it is."""
    recipe = load_recipe("tiny-smoke")
    out = tmp_path / "out"
    out.mkdir()
    file = out / "recipe.json"
    file.write_text(json.dumps(recipe.to_json()))
    with sole_user(file):
        with pytest.raises(UserError, match="another launch is training into it"):
            train(recipe, out, resume=True)
        with pytest.raises(OSError) as found, sole_user(file):
            pass
        assert found.value.errno == errno.EWOULDBLOCK
    assert [path.name for path in out.iterdir()] == ["recipe.json"]


def test_a_stage_goes_on_with_as_many_processes(tmp_path: Path) -> None:
    folder = tmp_path / "stage" / "checkpoints"
    (folder / "checkpoint-2").mkdir(parents=True)
    (folder / _PROCESSES).write_text("2\n")
    with pytest.raises(UserError, match="was trained by 2 processes, and this launch has 1; launch as many"):
        _checkpoint(folder, 1)
    (folder / "checkpoint-2" / "trainer_state.json").write_text("{}")
    assert _checkpoint(folder, 2) is None  # a process had not yet written its random state


def test_one_process_tells_of_a_mistake(context: ForkServerContext, tmp_path: Path) -> None:
    """A model that is not there is found by both, and said by one."""
    said = tmp_path / "said"
    words = ["train", "tiny-smoke", "--out", str(tmp_path / "out"), "--set", "start=nowhere"]
    for stage in ("pretrain", "cold-start", "self-distill"):
        words += ["--set", f"stages.{stage}.micro_batch=4", "--set", f"stages.{stage}.data.count=4"]
    assert launch(context, _say, said, words) == [0, 0]
    first, second = ((said / rank).read_text() for rank in "01")
    assert first.splitlines()[-1].startswith("mgsd-bench: model nowhere: no such folder")
    assert first.count("nowhere: no such") == 1
    assert second == ""


def _say(said: Path, words: list[str]) -> None:
    shown = mgsd(*words, code=Exit.USAGE)
    said.mkdir(exist_ok=True)
    (said / os.environ["RANK"]).write_text(shown)


def test_the_sharding_that_is_tested_is_that_of_the_configuration() -> None:
    """What ``accelerate launch`` makes of the file that the documentation names."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_multi_gpu_env

    file = RECIPES / "accelerate-fsdp-8gpu.yaml"
    assert f"accelerate launch --config_file baselines/recipes/{file.name}" in DOCS.read_text()
    args, *_ = _validate_launch_command(
        launch_command_parser().parse_args(["--config_file", str(file), "-m", "mgsd_bench", "train", "mgsd-4b-paper"])
    )
    made = prepare_multi_gpu_env(args)
    assert args.num_processes == 8
    assert {name: made[name] for name in FSDP} == FSDP


def test_the_documented_launch(tmp_path: Path) -> None:
    """``torchrun`` as the documentation writes it: one training, of which one process speaks."""
    command, *_ = re.findall(r"^torchrun --standalone .*$", DOCS.read_text(), re.MULTILINE)
    few = ["data.count=4", "validation.count=0", "stages.pretrain=null", "stages.self-distill=null"]
    few += ["stages.cold-start.data.count=4", "stages.cold-start.micro_batch=2", "stages.cold-start.batch=4"]
    sets = [word for change in [*few, "stages.cold-start.trainer.max_steps=1"] for word in ("--set", change)]
    torchrun, *words = command.split()
    words = [str(tmp_path / "out") if word == "runs/train/smoke" else word for word in words]
    start = "import sys; sys.modules['vllm'] = None; from torch.distributed.run import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", start, *words, *sets],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=300,
        check=False,
    )
    assert torchrun == "torchrun"
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"trained model in {tmp_path / 'out' / 'cold-start'}"
    assert done.stdout.count("rows, from") == 1
    assert '"processes": 2' in (tmp_path / "out" / "cold-start" / "training.json").read_text()

"""Commands that train: train RECIPE, train data, train recipes."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from mgsd_bench.errors import Exit, UserError, command_line, spell
from mgsd_bench.plain import say

if TYPE_CHECKING:
    from mgsd_baselines.recipe import Recipe

RecipeName = Annotated[str, typer.Argument(help="A YAML file, or the name of a shipped recipe.")]
Overrides = Annotated[
    list[str], typer.Option("--set", help="Change one key: --set stages.self-distill.beta=0.5", metavar="KEY=VALUE")
]


class _RunByDefault(TyperGroup):
    """A group whose first word may be left out: what names no command of the group is an argument of ``run``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer()
train_app = typer.Typer(
    cls=_RunByDefault,
    no_args_is_help=True,
    subcommand_metavar="RECIPE | COMMAND ...",
)
app.add_typer(train_app, name="train")


@train_app.callback()
def train_group() -> None:
    """Train a model as a recipe says: `mgsd-bench train RECIPE`; or list recipes, or write their data."""


@train_app.command("run")
def run_command(
    recipe: RecipeName,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the training; by default runs/train/NAME.")
    ] = None,
    overrides: Overrides = [],  # noqa: B006 (typer copies it)
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would train on, and need.")] = False,
    devices: Annotated[int, typer.Option("--devices", help="With --dry-run: GPUs that share the work.", min=1)] = 1,
    teraflops: Annotated[
        float | None, typer.Option("--teraflops", help="With --dry-run: effective TFLOP/s of one.", min=1e-6)
    ] = None,
    suite: Annotated[
        str | None,
        typer.Option("--suite", help="With --dry-run: look for its states in the training; mgsd-v1, or -v2 by orbit."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the training in --out.")] = False,
) -> None:
    """Run all stages of a recipe (`run` may be left out)."""
    chosen = _load(recipe, overrides)
    if dry_run:
        _need("peft", "torch", "transformers")
        _show_estimates(chosen, devices, teraflops)
        _show_leaks(chosen, suite)
        return
    _need("accelerate", "datasets", "peft", "torch", "transformers", "trl")
    from mgsd_baselines.training.launch import ToldElsewhereError
    from mgsd_baselines.training.train import train

    folder = out or Path("runs") / "train" / chosen.name
    try:
        finished = train(chosen, folder, resume=resume, report=say)
    except ToldElsewhereError as error:
        raise typer.Exit(error.code) from None
    except KeyboardInterrupt:
        raise UserError(f"interrupted; the same command with --resume goes on in {folder}", Exit.INTERRUPTED) from None
    if os.environ.get("RANK", "0") == "0":  # one of several processes speaks
        say(f"trained model in {finished}")


@train_app.command("data")
def data_command(
    recipe: RecipeName,
    stage: Annotated[str, typer.Option("--stage", help="Which stage's rows.")],
    out: Annotated[Path, typer.Option("--out", help="A new folder.")],
    output_format: Annotated[str, typer.Option("--format", help="trl, llamafactory or ms-swift.")] = "trl",
    overrides: Overrides = [],  # noqa: B006
) -> None:
    """Write the rows of one stage with their pictures, for other trainers."""
    from mgsd_baselines.data.exports import FORMATS, export

    known = {name: name for name in FORMATS}
    if output_format not in known:
        raise UserError(f"--format {output_format}: choose from {', '.join(FORMATS)}")
    done = export(_load(recipe, overrides), stage, known[output_format], out)
    say(f"{done.rows} rows and {done.pictures} pictures in {done.path}; digest {done.digest[:12]}")


@train_app.command("recipes")
def recipes_command() -> None:
    """List the shipped recipes."""
    from rich.table import Table

    from mgsd_baselines.recipe_file import shipped_about
    from mgsd_bench.terminal import Terminal

    table = Table("recipe", "what it is", pad_edge=False)
    for name, about in shipped_about().items():
        table.add_row(name, about)
    Terminal().print(table)


def _load(recipe: str, overrides: list[str]) -> Recipe:
    from mgsd_baselines.recipe_file import load_recipe

    return load_recipe(recipe, overrides)


def _need(*packages: str) -> None:
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise UserError(f"{', '.join(missing)} not installed: pip install 'mgsd-bench[train]'")


def _show_estimates(recipe: Recipe, devices: int, teraflops: float | None) -> None:
    from mgsd_baselines.estimate.estimate import estimate
    from mgsd_baselines.estimate.table import data_table, launches_table, needs_table, notes
    from mgsd_bench.terminal import Terminal

    estimates = estimate(recipe, devices=devices, teraflops=teraflops)
    console = Terminal()
    console.print(data_table(estimates))
    console.print(needs_table(estimates))
    console.print(launches_table(estimates))
    for line in notes(estimates):
        console.print(spell(line, command_line), highlight=False, soft_wrap=True)


def _show_leaks(recipe: Recipe, name: str | None) -> None:

    from mgsd_baselines.data.dataset import recipe_episodes
    from mgsd_bench.report.leakage import leak_notes, leak_table
    from mgsd_bench.suites.choose import find_suite
    from mgsd_bench.suites.leakage import leaks
    from mgsd_bench.suites.suite import cut_to, episodes
    from mgsd_bench.terminal import Terminal

    by_orbit = any(stage.data.split_by == "orbit" for stage in recipe.stages)
    suite = find_suite(name or ("mgsd-v2" if by_orbit else "mgsd-v1"))
    trained = recipe_episodes(recipe)
    test = episodes(cut_to(suite, {(episode.task, episode.level) for episode in trained}))
    if not test:
        say(f"Suite {suite.name} has none of the levels that are trained on.")
        return
    found = leaks(test, trained)
    console = Terminal()
    console.print(leak_table(found, f"test episodes of {suite.name} among those trained on"))
    for line in leak_notes(found):
        console.print(line, highlight=False, soft_wrap=True)

"""Commands about episodes and models: generate, show, tasks, models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mgsd_bench.cli import options
from mgsd_bench.cli.settings import with_settings
from mgsd_bench.errors import UserError
from mgsd_bench.plain import say, say_error
from mgsd_bench.suites.settings import SuiteSettings

if TYPE_CHECKING:
    from mgsd_bench.prompts import Condition
    from mgsd_bench.suites.packed import Packed
    from mgsd_bench.suites.suite import Suite
    from mgsd_envs import Episode
    from mgsd_envs.splits import Split

_SUITE = "mgsd-v1"

app = typer.Typer()
models_app = typer.Typer(help="Models that come with the project.", no_args_is_help=True)
app.add_typer(models_app, name="models")


@app.command("generate")
@with_settings(SuiteSettings, file=False)
def generate_command(
    settings: SuiteSettings,
    out: Annotated[Path, typer.Argument(help="A new folder.")],
    count: Annotated[
        int | None, typer.Option("--count", help="New episodes a level, not the suite's.", metavar="N")
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", help="With --count: train (if left out), val or test.")
    ] = None,
    stream: Annotated[
        str | None, typer.Option("--stream", help="With --count: names the random stream; custom if left out.")
    ] = None,
    length: Annotated[
        str | None, typer.Option("--length", help="With --count: lengths of the shortest plan.", metavar="A-B")
    ] = None,
    density: Annotated[
        float | None, typer.Option("--density", help="With --count: share of holes.", min=0.0, max=0.9)
    ] = None,
    straight: Annotated[
        float | None,
        typer.Option(
            "--straight", help="With --count: largest share that the blind plan solves; 0.3 if left out.", min=0, max=1
        ),
    ] = None,
    split_by: Annotated[
        str | None,
        typer.Option("--split-by", help="With --count: what the split keeps apart: state (if left out) or orbit."),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option("--size", help="Side of the images in pixels, instead of the suite's.", min=32, max=4096),
    ] = None,
    output_format: Annotated[
        str,
        typer.Option(
            "--format",
            help="folder (PNG and JSONL), parquet (for datasets.load_dataset), trl or verl (rows to train on).",
        ),
    ] = "folder",
    prompts: Annotated[
        str | None, typer.Option("--prompts", help="With parquet: prompt set; the suite's own or default if left out.")
    ] = None,
    conditions: Annotated[
        list[str] | None,
        typer.Option("--condition", help="With parquet: one-shot conditions, a row each; visual if left out."),
    ] = None,
    train: Annotated[
        int | None, typer.Option("--train", help="With parquet: episodes a level to train on, beside.", metavar="N")
    ] = None,
) -> None:
    """Write a suite's episodes, or new ones, with their pictures, states and solutions."""
    from mgsd_bench.suites.choose import find_suite
    from mgsd_bench.suites.export import write_folder
    from mgsd_bench.suites.suite import beside, custom, episodes, subsample
    from mgsd_bench.suites.trainer_rows import FORMS

    if output_format == "hf":
        output_format = "parquet"
        options.note("--format hf: is now called parquet; read the folder with datasets.load_dataset")
    if output_format not in ("folder", "parquet", *FORMS):
        raise UserError(f"--format {output_format}: choose folder, parquet, {' or '.join(FORMS)}")
    if output_format == "folder":
        for name, given in {"prompts": prompts, "condition": conditions, "train": train}.items():
            if given is not None:
                raise UserError(f"--{name}: of --format parquet; leave it out, or write that")
    asked = _one_shot(options.split(conditions or []))
    if output_format in FORMS and "perceive" in asked:
        raise UserError("--condition perceive: asks for no plan, and rewards are of plans; leave it out")
    if count is None:
        of_count = {"split": split, "stream": stream, "length": length, "density": density, "straight": straight,
                    "split-by": split_by}  # fmt: skip
        if named := next((name for name, given in of_count.items() if given is not None), None):
            raise UserError(f"--{named}: is of new episodes; leave it out, or add --count N")
        chosen = options.suite_of(settings)
    elif settings.data_root is not None:
        raise UserError("--count: makes new episodes; leave out --data-root")
    else:
        usual = dict.fromkeys(part.task for part in find_suite("mgsd-v1").parts)
        chosen = custom(
            list(settings.tasks or _usable(usual)),
            list(settings.levels),
            count,
            split=split or "train",
            stream=stream or "custom",
            split_by=split_by or "state",
            length=length,
            density=density,
            straight=0.3 if straight is None else straight,
            theme=settings.theme or "classic",
        )
    wanted = episodes(chosen)
    if settings.limit is not None:
        wanted = subsample(wanted, settings.limit)
    trained = None if train is None else episodes(beside(chosen, train))
    try:
        if output_format == "folder":
            write_folder(wanted, out, size)
            said = f"{len(wanted)} episodes"
        else:
            said = _write_dataset(
                chosen, wanted, trained, out, prompts or _own_prompts(settings), asked, size, output_format
            )
    except ValueError as error:  # fewer than the pixels that the largest grid needs
        raise UserError(f"--size {size}: {error}") from error
    say(f"{said} in {out}")
    _show_leaks(wanted, trained)


def _one_shot(names: list[str]) -> tuple[Condition, ...]:
    """The conditions of these names in their usual order; visual if there are none."""
    from mgsd_bench.prompts import ONE_SHOT, in_order

    for name in names:
        if name not in ONE_SHOT:
            raise UserError(f"--condition {name}: choose from {', '.join(in_order(ONE_SHOT))}")
    return in_order(names or ["visual"])


def _own_prompts(settings: SuiteSettings) -> str:
    """The prompt set that a suite's file asks for."""
    from mgsd_bench.config.layers import Layers
    from mgsd_bench.suites.choose import asked_by_suite

    return str(asked_by_suite(Layers({"suite": settings.suite}, {})).values.get("prompts", "default"))


def _write_dataset(
    suite: Suite,
    wanted: Packed,
    trained: Packed | None,
    out: Path,
    prompts: str,
    conditions: tuple[Condition, ...],
    size: int | None,
    output_format: str,
) -> str:
    """Write a dataset of Parquet files; what was written, in words."""
    from itertools import chain

    from mgsd_bench.prompts import load_prompts
    from mgsd_bench.suites.dataset import write_dataset
    from mgsd_bench.suites.parquet import Asked

    parts: dict[Split, Packed] = {suite.split: wanted}
    if trained is not None:
        parts["train"] = trained
    texts = load_prompts(prompts, chain(*parts.values()), conditions)
    about = write_dataset(parts, out, suite.name, Asked(texts, conditions, size), output_format)
    rows, megabytes = sum(each.rows for each in about.files), sum(each.size for each in about.files) / 2**20
    made = sum(each.episodes for each in about.splits.values())
    return f"{made} episodes in {rows} rows, prompts {about.prompts}, {len(about.files)} files of {megabytes:.1f} MiB"


def _usable(tasks: Iterable[str] | None = None) -> list[str]:
    """Those of the installed tasks, or of some, that can be used; what is wrong with others is said, a line a fault."""
    from mgsd_envs import loadable_tasks

    names, errors = loadable_tasks(tasks)
    faults: dict[str, list[str]] = {}
    for error in errors:
        _, name, fault = str(error).split(" ", 2)
        faults.setdefault(fault, []).append(name)
    for fault, of in faults.items():
        say_error(f"task {of[0]}{f' and {len(of) - 1} more' if len(of) > 1 else ''} {fault}")
    return list(names)


def _show_leaks(made: Sequence[Episode], trained: Sequence[Episode] | None) -> None:
    """Say how many of the episodes training may see or, of episodes to train on, how much of a test is among them.

    Args:
        made: the episodes.
        trained: episodes to train on, which were written beside.
    """
    from mgsd_bench.report.leakage import leak_notes, leak_table
    from mgsd_bench.suites.choose import find_suite
    from mgsd_bench.suites.leakage import leaks, possible_leaks
    from mgsd_bench.suites.suite import cut_to, episodes
    from mgsd_bench.terminal import Terminal

    if trained is not None:
        found, title = leaks(made, trained), "test episodes among those to train on"
    elif made[0].split == "train" and made[0].source is None:
        suite = find_suite("mgsd-v2" if made[0].split_by == "orbit" else "mgsd-v1")
        test = episodes(cut_to(suite, {(episode.task, episode.level) for episode in made}))
        found, title = leaks(test, made), f"test episodes of {suite.name} among these"
    else:
        found, title = possible_leaks(made), "episodes in the train split, which a training may see"
    if found:
        console = Terminal()
        console.print(leak_table(found, title))
        for line in leak_notes(found):
            console.print(line, highlight=False, soft_wrap=True)


@app.command("show")
def show_command(
    episode_or_run: Annotated[
        str, typer.Argument(metavar="EPISODE|RUN", help="An episode such as frozenlake/4/0007, or a run folder.")
    ],
    episode_of_run: Annotated[
        str | None, typer.Argument(metavar="EPISODE", help="After a run folder: the episode to replay.")
    ] = None,
    suite: options.SuiteName = _SUITE,
    plan: Annotated[
        str | None, typer.Option("--plan", help="A plan such as RDD, instead of a shortest one.", metavar="PLAN")
    ] = None,
    theme: options.Theme = None,
    data_root: options.DataRoot = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write a PNG instead of drawing in the terminal.")] = None,
    size: Annotated[int, typer.Option("--size", help="Side of the PNG in pixels.", min=128, max=4096)] = 512,
    condition: Annotated[
        str | None, typer.Option("--condition", help="With a run folder: which condition's answer.")
    ] = None,
    repeat: Annotated[
        int | None, typer.Option("--repeat", help="With a run folder: which try, from 0.", min=0, metavar="N")
    ] = None,
) -> None:
    """Draw one episode, in our own look, with a plan over it; as a map of letters where no terminal reads it.

    Of a run folder, replay the answer to an episode: turn by turn what was said, what was done and how far it is to go.
    """
    if episode_of_run is not None:
        idle = {"suite": suite != _SUITE, "plan": plan, "theme": theme, "data-root": data_root, "out": out}
        for name, given in idle.items():
            if given:
                raise UserError(f"--{name}: an episode of a run is shown as it was asked; leave it out")
        return _replay(Path(episode_or_run), episode_of_run, condition, repeat)
    if condition is not None or repeat is not None:
        name = "condition" if condition is not None else "repeat"
        raise UserError(f"--{name}: of an answer in a run; name the run folder before the episode")
    if (Path(episode_or_run) / "run.json").exists():
        raise UserError(f"{episode_or_run}: a run folder; name one of its episodes after it, such as frozenlake/4/0007")
    _draw(episode_or_run, suite, plan, theme, data_root, out, size)


def _replay(folder: Path, episode_id: str, condition: str | None, repeat: int | None) -> None:
    """Print the answer of a run to an episode, turn by turn."""
    from mgsd_bench.analysis.run import load_run
    from mgsd_bench.analysis.stored_answers import find_answer
    from mgsd_bench.report.replay import answer_lines

    run = load_run(folder)
    answer = find_answer(run, episode_id, condition, repeat)
    say(f"{run.model} · {folder}")
    for line in answer_lines(answer):
        say(line)


def _draw(
    episode_id: str,
    suite: str,
    plan: str | None,
    theme: str | None,
    data_root: Path | None,
    out: Path | None,
    size: int,
) -> None:
    """Draw one episode with a plan over it."""
    from mgsd_bench.answers.plans import write_plan
    from mgsd_bench.answers.reader import parse_answer
    from mgsd_bench.files import write_whole
    from mgsd_bench.report.drawing import draw_plan, to_terminal, to_text
    from mgsd_bench.suites.suite import find_episode
    from mgsd_bench.terminal import Terminal
    from mgsd_envs import dead_end, get_task, rollout

    settings = SuiteSettings(suite=suite, theme=theme, data_root=data_root)
    episode = find_episode(options.suite_of(settings), episode_id)
    actions = episode.plan if plan is None else parse_answer(f"<answer>{plan}</answer>", episode.task).plan
    if actions is None:
        raise UserError(f"--plan {plan}: not a plan; write letters such as RDD, or U,PICK,DROP")
    image = draw_plan(episode, actions, size)
    result = rollout(get_task(episode.task), episode.state, actions)
    if out:
        picture = BytesIO()
        image.save(picture, "PNG")
        try:
            write_whole(out, picture.getvalue())
        except OSError as error:
            raise UserError(f"--out {out}: cannot be written ({error.strerror or error})") from error
    else:
        console = Terminal()
        if console.is_terminal:
            console.print(to_terminal(image, columns=min(64, console.width)), end="")
        else:
            say(to_text(episode))
    broken = f" ({result.illegal} at action {result.steps + 1})" if result.illegal else ""
    lost = dead_end(get_task(episode.task), episode.state, actions) if result.outcome != "solved" else None
    if lost is not None:
        broken += f"; after action {lost} nothing could save it"
    say(get_task(episode.task).describe(episode.state))
    say(f"plan: {write_plan(actions)}, {result.outcome}{broken}; shortest: {episode.shortest} actions")


@app.command("tasks")
def tasks_command() -> None:
    """List the installed tasks."""
    from rich.table import Column, Table

    from mgsd_bench.terminal import Terminal
    from mgsd_envs import get_task

    names = _usable()
    widest = max(map(len, names))
    table = Table(Column("task", min_width=widest), "usual levels", "possible", "actions", "themes", pad_edge=False)
    for name in names:
        task = get_task(name)
        possible = f"{task.min_level} to {task.max_level}"
        levels = ", ".join(map(str, task.levels))
        table.add_row(name, levels, possible, ", ".join(task.actions), ", ".join(task.themes))
    Terminal().print(table)


@models_app.command("tiny")
def tiny_command(
    out: Annotated[Path, typer.Argument(help="A new folder.")],
    seed: Annotated[int, typer.Option("--seed", help="Seed of the random weights.")] = 0,
) -> None:
    """Build a tiny Qwen3-VL with random weights, its processor and tokenizer; needs no network."""
    from mgsd_baselines.tiny.build import build_tiny

    say(f"tiny Qwen3-VL in {build_tiny(out, seed=seed)}")

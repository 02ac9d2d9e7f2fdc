"""The command line. One thin function a command; whatever is heavy is imported inside it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mgsd_bench.errors import UserError

if TYPE_CHECKING:
    from mgsd_bench.suites import Suite

app = typer.Typer(
    name="mgsd-bench",
    help="Benchmark and diagnostics for visual spatial planning with vision-language models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
models_app = typer.Typer(help="Models that come with the project.", no_args_is_help=True)
app.add_typer(models_app, name="models")

TasksOption = Annotated[
    list[str], typer.Option("--tasks", help="Only these tasks; comma-separated or repeated.", metavar="NAMES")
]
LevelsOption = Annotated[
    list[str], typer.Option("--levels", help="Only these levels; comma-separated or repeated.", metavar="NUMBERS")
]
SuiteOption = Annotated[str, typer.Option("--suite", help="Which suite; see `mgsd-bench suites`.")]
ThemeOption = Annotated[str | None, typer.Option("--theme", help="Look of the images, instead of the suite's.")]
LimitOption = Annotated[
    int | None, typer.Option("--limit", help="Episodes a level, spread evenly over plan lengths.", metavar="N")
]


@app.command("eval")
def eval_command(
    model: Annotated[str, typer.Option("--model", help="Folder or hub name of a model, or a scripted model's name.")],
    suite: SuiteOption = "mgsd-v1",
    tasks: TasksOption = [],  # noqa: B006 (typer copies it)
    levels: LevelsOption = [],  # noqa: B006
    condition: Annotated[
        list[str], typer.Option("--condition", help="visual, symbolic, perceive, direct; comma-separated or repeated.")
    ] = ["visual"],  # noqa: B006
    limit: LimitOption = None,
    backend: Annotated[str, typer.Option("--backend", help="vllm or scripted.")] = "vllm",
    out: Annotated[
        Path | None, typer.Option("--out", help="Run folder; one that holds this run already is resumed.")
    ] = None,
    repeats: Annotated[int, typer.Option("--repeats", help="How often each question is asked.")] = 1,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the sampling.")] = 0,
    prompts: Annotated[str, typer.Option("--prompts", help="default, compact, or a folder of your own.")] = "default",
    theme: ThemeOption = None,
    temperature: Annotated[float, typer.Option("--temperature", help="0 is greedy.", min=0.0)] = 0.0,
    top_p: Annotated[float, typer.Option("--top-p", min=0.0, max=1.0)] = 1.0,
    top_k: Annotated[int, typer.Option("--top-k", help="0 keeps all tokens.", min=0)] = 0,
    max_tokens: Annotated[int, typer.Option("--max-tokens", help="Most new tokens an answer may have.", min=1)] = 4096,
    min_pixels: Annotated[int, typer.Option("--min-pixels", help="Smallest image area.", min=1)] = 65_536,
    max_pixels: Annotated[int, typer.Option("--max-pixels", help="Largest image area.", min=1)] = 262_144,
    engine: Annotated[
        list[str],
        typer.Option("-M", help="Engine argument, repeatable: -M gpu_memory_utilization=0.8", metavar="KEY=VALUE"),
    ] = [],  # noqa: B006
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run code that comes with the checkpoint.")
    ] = False,
) -> None:
    """Ask a model every question of a suite and score the answers in the simulator."""
    from rich.console import Console

    from mgsd_bench.backends import BackendConfig, Sampling
    from mgsd_bench.evaluate import Evaluation, evaluate
    from mgsd_bench.report.tables import results_table

    chosen = _suite(suite, tasks, levels, theme)
    if min_pixels > max_pixels:
        raise UserError(f"--min-pixels {min_pixels}: must not exceed --max-pixels {max_pixels}")
    config = BackendConfig(
        model=model,
        sampling=Sampling(temperature, top_p, top_k, max_tokens=max_tokens, seed=seed),
        min_pixels=min_pixels,
        max_pixels=max_pixels,
        engine_args=_key_values(engine),
        trust_remote_code=trust_remote_code,
    )
    folder = out or Path("runs") / f"{suite}-{Path(model).name.replace(':', '-')}"
    job = Evaluation(chosen, limit, _conditions(condition), repeats, prompts, backend, config, folder)
    console = Console()
    summary, code = evaluate(job, console)
    for name, of_condition in summary["conditions"].items():
        console.print()
        console.print(results_table(name, of_condition, Path(model).name))
    done = f"{summary['samples'] - summary['errors']} of {summary['samples']} questions were answered; run in {folder}"
    console.print(f"\n{done}", highlight=False, soft_wrap=True)
    if code:
        console.print(
            f"{summary['errors']} requests failed and count as not solved; see `error` in {folder}/samples.jsonl, "
            "and run the same command again to retry them",
            style="red",
            highlight=False,
            soft_wrap=True,
        )
        raise typer.Exit(code)


@app.command("report")
def report_command(
    runs: Annotated[list[Path], typer.Argument(help="Run folders of the same suite and prompts.")],
    condition: Annotated[str, typer.Option("--condition", help="Which condition to show.")] = "visual",
    out: Annotated[Path | None, typer.Option("--out", help="Also write the table to this file, as Markdown.")] = None,
) -> None:
    """Put the results of several runs side by side."""
    from rich.console import Console

    from mgsd_bench.comparison import read_comparable
    from mgsd_bench.report.tables import as_markdown, as_terminal, comparison

    rows = comparison(read_comparable(runs, condition), condition)
    Console().print(as_terminal(rows))
    typer.echo("\nsolved, % of all questions asked, with 95 % intervals")
    if out:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(as_markdown(rows), encoding="utf-8")
        except OSError as error:
            raise UserError(f"--out {out}: cannot be written ({error.strerror or error})") from error


@app.command("generate")
def generate_command(
    out: Annotated[Path, typer.Argument(help="A new folder.")],
    suite: SuiteOption = "mgsd-v1",
    tasks: TasksOption = [],  # noqa: B006
    levels: LevelsOption = [],  # noqa: B006
    limit: LimitOption = None,
    count: Annotated[
        int | None, typer.Option("--count", help="New episodes a level, not the suite's.", metavar="N")
    ] = None,
    split: Annotated[str, typer.Option("--split", help="With --count: train, val or test.")] = "train",
    stream: Annotated[str, typer.Option("--stream", help="With --count: names the random stream.")] = "custom",
    length: Annotated[
        str | None, typer.Option("--length", help="With --count: lengths of the shortest plan.", metavar="A-B")
    ] = None,
    density: Annotated[
        float | None, typer.Option("--density", help="With --count: share of holes.", min=0.0, max=0.9)
    ] = None,
    straight: Annotated[
        float, typer.Option("--straight", help="With --count: largest share that the blind plan solves.", min=0, max=1)
    ] = 0.3,
    theme: ThemeOption = None,
    size: Annotated[int, typer.Option("--size", help="Side of the images in pixels.", min=32, max=4096)] = 256,
    output_format: Annotated[
        str, typer.Option("--format", help="folder (PNG and JSONL) or hf (a datasets folder).")
    ] = "folder",
) -> None:
    """Write a suite's episodes, or new ones, with their pictures, states and solutions."""
    from mgsd_bench import export, suites

    if output_format not in ("folder", "hf"):
        raise UserError(f"--format {output_format}: choose folder or hf")
    if count is None:
        chosen = _suite(suite, tasks, levels, theme)
    else:
        chosen = suites.custom(
            _split_list(tasks), _numbers(levels), count, split=split, stream=stream, length=length, density=density,
            straight=straight, theme=theme or "classic",
        )  # fmt: skip
    episodes = suites.episodes(chosen)
    if limit is not None:
        episodes = suites.thin(episodes, limit)
    write = export.write_hf if output_format == "hf" else export.write_folder
    try:
        write(episodes, out, size)
    except ValueError as error:  # fewer than the pixels that the largest grid needs
        raise UserError(f"--size {size}: {error}") from error
    typer.echo(f"{len(episodes)} episodes in {out}")


@app.command("show")
def show_command(
    episode_id: Annotated[str, typer.Argument(help="For example frozenlake/4/0007.")],
    suite: SuiteOption = "mgsd-v1",
    plan: Annotated[
        str | None, typer.Option("--plan", help="A plan such as RDD, instead of a shortest one.", metavar="PLAN")
    ] = None,
    theme: ThemeOption = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write a PNG instead of drawing in the terminal.")] = None,
    size: Annotated[int, typer.Option("--size", help="Side of the PNG in pixels.", min=128, max=4096)] = 512,
) -> None:
    """Draw one episode with a plan over it."""
    from rich.console import Console

    from mgsd_bench.answers import read_plan, write_plan
    from mgsd_bench.report.drawing import draw_plan, to_terminal
    from mgsd_bench.suites import find_episode
    from mgsd_envs import get_task, rollout

    episode = find_episode(_suite(suite, [], [], theme), episode_id)
    actions = episode.plan if plan is None else read_plan(plan)
    if actions is None:
        raise UserError(f"--plan {plan}: not a plan; write letters such as RDD, or U,PICK,DROP")
    image = draw_plan(episode, actions, size)
    result = rollout(get_task(episode.task), episode.state, actions)
    if out:
        try:
            image.save(out, "PNG")
        except OSError as error:
            raise UserError(f"--out {out}: cannot be written ({error.strerror or error})") from error
    else:
        console = Console()
        console.print(to_terminal(image, columns=min(64, console.width)), end="")
    broken = f" ({result.illegal} at action {result.steps + 1})" if result.illegal else ""
    typer.echo(get_task(episode.task).describe(episode.state))
    typer.echo(f"plan: {write_plan(actions)}, {result.outcome}{broken}; shortest: {episode.shortest} actions")


@app.command("suites")
def suites_command() -> None:
    """List the suites."""
    from rich.console import Console
    from rich.table import Table

    from mgsd_bench.suites import SUITES, digest, episodes

    table = Table("suite", "episodes", "split", "what it is", "digest", pad_edge=False)
    for suite in SUITES.values():
        of_suite = episodes(suite)
        table.add_row(suite.name, str(len(of_suite)), suite.split, suite.about, digest(of_suite)[:12])
    Console().print(table)


@app.command("tasks")
def tasks_command() -> None:
    """List the installed tasks."""
    from rich.console import Console
    from rich.table import Table

    from mgsd_envs import get_task, task_names
    from mgsd_envs.grid import MAX_LEVEL

    table = Table("task", "levels of the paper", "possible", "actions", "themes", pad_edge=False)
    for name in task_names():
        task = get_task(name)
        possible = f"{task.min_level} to {MAX_LEVEL}"
        levels = ", ".join(map(str, task.levels))
        table.add_row(name, levels, possible, ", ".join(task.actions), ", ".join(task.themes))
    Console().print(table)


@models_app.command("tiny")
def tiny_command(
    out: Annotated[Path, typer.Argument(help="A new folder.")],
    seed: Annotated[int, typer.Option("--seed", help="Seed of the random weights.")] = 0,
) -> None:
    """Build a tiny Qwen3-VL with random weights, its processor and tokenizer; needs no network."""
    from mgsd_baselines.tiny import build_tiny

    typer.echo(f"tiny Qwen3-VL in {build_tiny(out, seed=seed)}")


def _suite(name: str, tasks: list[str], levels: list[str], theme: str | None) -> Suite:
    from dataclasses import replace

    from mgsd_bench.suites import get_suite, select
    from mgsd_envs import get_task

    suite = select(get_suite(name), _split_list(tasks), _numbers(levels))
    if theme is None:
        return suite
    for task in {part.task for part in suite.parts}:
        if theme not in get_task(task).themes:
            raise UserError(f"--theme {theme}: {task} has {', '.join(get_task(task).themes)}")
    return replace(suite, theme=theme)


def _split_list(values: list[str]) -> list[str]:
    return [item.strip() for value in values for item in value.split(",") if item.strip()]


def _numbers(values: list[str]) -> list[int]:
    try:
        return [int(item) for item in _split_list(values)]
    except ValueError as error:
        raise UserError(f"--levels {','.join(values)}: levels are whole numbers, for example 3,4") from error


def _conditions(values: list[str]) -> list[Any]:
    from mgsd_bench.prompts import CONDITIONS

    chosen = list(dict.fromkeys(_split_list(values)))
    for value in chosen:
        if value not in CONDITIONS:
            raise UserError(f"--condition {value}: choose from {', '.join(CONDITIONS)}")
    if not chosen:
        raise UserError(f"--condition: name at least one of {', '.join(CONDITIONS)}")
    return chosen


def _key_values(pairs: list[str]) -> dict[str, Any]:
    import json

    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UserError(f"-M {pair}: write KEY=VALUE, for example -M max_num_seqs=64")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value  # a bare word is a string
    return found


def main() -> None:
    """Entry point: a user's mistake becomes one line and an exit code."""
    try:
        app()
    except UserError as error:
        print(f"mgsd-bench: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.code)

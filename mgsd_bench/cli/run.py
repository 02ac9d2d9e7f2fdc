"""Commands that ask a model: eval, diagnose, score."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mgsd_bench.cli import options
from mgsd_bench.errors import Exit, UserError

if TYPE_CHECKING:
    from mgsd_bench.evaluation.evaluate import Evaluation
    from mgsd_bench.suites.suite import Suite

app = typer.Typer()

ModelOption = Annotated[
    str, typer.Option("--model", help="Folder or name of a model: on the hub, of a server, scripted.")
]


@app.command("eval")
def eval_command(
    model: ModelOption,
    suite: options.SuiteName = "mgsd-v1",
    tasks: options.Tasks = [],  # noqa: B006 (typer copies it)
    levels: options.Levels = [],  # noqa: B006
    condition: options.Conditions = ["visual"],  # noqa: B006
    limit: options.Limit = None,
    backend: options.Backend = "vllm",
    base_url: options.BaseUrls = [],  # noqa: B006
    out: options.Out = None,
    repeats: options.Repeats = 1,
    seed: options.Seed = 0,
    prompts: options.Prompts = "default",
    theme: options.Theme = None,
    data_root: options.DataRoot = None,
    image: options.Image = None,
    strict: options.Strict = False,
    temperature: options.Temperature = 0.0,
    top_p: options.TopP = 1.0,
    top_k: options.TopK = 0,
    max_tokens: options.MaxTokens = 4096,
    min_pixels: options.MinPixels = 65_536,
    max_pixels: options.MaxPixels = 262_144,
    engine: options.EngineArgs = [],  # noqa: B006
    trust_remote_code: options.TrustRemoteCode = False,
) -> None:
    """Ask a model every question of a suite and score the answers in the simulator."""
    job = make_job(
        model, options.suite_of(suite, tasks, levels, theme, data_root, image, strict=strict), condition, limit,
        backend, out, repeats, seed, prompts, temperature, top_p, top_k, max_tokens, min_pixels, max_pixels,
        options.engine_arguments(engine, backend, base_url), trust_remote_code,
    )  # fmt: skip
    _evaluate(job)


@app.command("score")
def score_command(
    answers: Annotated[Path, typer.Option("--answers", help="JSONL with the fields episode and text.")],
    suite: options.SuiteName = "mgsd-v1",
    tasks: options.Tasks = [],  # noqa: B006
    levels: options.Levels = [],  # noqa: B006
    condition: options.Conditions = ["visual"],  # noqa: B006
    limit: options.Limit = None,
    out: options.Out = None,
    repeats: options.Repeats = 1,
    prompts: options.Prompts = "default",
    theme: options.Theme = None,
    data_root: options.DataRoot = None,
    image: options.Image = None,
    strict: options.Strict = False,
) -> None:
    """Score answers that were collected elsewhere."""
    job = make_job(
        str(answers), options.suite_of(suite, tasks, levels, theme, data_root, image, strict=strict), condition,
        limit, "recorded", out, repeats, 0, prompts, 0.0, 1.0, 0, 4096, 65_536, 262_144, {}, False,
    )  # fmt: skip
    _evaluate(job)


@app.command("diagnose")
def diagnose_command(
    runs: Annotated[list[Path] | None, typer.Argument(help="Finished runs of one model; or give --model.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Ask this model first, as `eval` does.")] = None,
    suite: options.SuiteName = "mgsd-v1",
    tasks: options.Tasks = [],  # noqa: B006
    levels: options.Levels = [],  # noqa: B006
    condition: options.Conditions = ["visual", "symbolic", "perceive"],  # noqa: B006
    limit: options.Limit = None,
    backend: options.Backend = "vllm",
    base_url: options.BaseUrls = [],  # noqa: B006
    out: options.Out = None,
    repeats: options.Repeats = 1,
    seed: options.Seed = 0,
    prompts: options.Prompts = "default",
    theme: options.Theme = None,
    data_root: options.DataRoot = None,
    image: options.Image = None,
    strict: options.Strict = False,
    temperature: options.Temperature = 0.0,
    top_p: options.TopP = 1.0,
    top_k: options.TopK = 0,
    max_tokens: options.MaxTokens = 4096,
    min_pixels: options.MinPixels = 65_536,
    max_pixels: options.MaxPixels = 262_144,
    engine: options.EngineArgs = [],  # noqa: B006
    trust_remote_code: options.TrustRemoteCode = False,
    allow: options.Allow = [],  # noqa: B006
) -> None:
    """Find out why a model fails: does it fail to see, to plan, or to say?"""
    import json

    from rich.console import Console

    from mgsd_bench.analysis.diagnose import diagnose
    from mgsd_bench.analysis.run import load_runs
    from mgsd_bench.files import write_whole
    from mgsd_bench.report.tables import attribution_table, diagnosis_table

    if (model is None) == (not runs):
        raise UserError("diagnose: give either run folders or --model")
    folders = list(runs or [])
    code = Exit.OK
    if model is not None:
        job = make_job(
            model, options.suite_of(suite, tasks, levels, theme, data_root, image, strict=strict), condition,
            limit, backend, out, repeats, seed, prompts, temperature, top_p, top_k, max_tokens, min_pixels, max_pixels,
            options.engine_arguments(engine, backend, base_url), trust_remote_code,
        )  # fmt: skip
        folders, code = [job.out], _evaluate(job, tables=False)
    result = diagnose(load_runs(folders), options.split(allow))
    target = folders[0] / "diagnosis.json"
    try:
        write_whole(target, json.dumps(result.to_json(), indent=2) + "\n")
    except OSError as error:
        raise UserError(f"{target}: cannot be written ({error.strerror or error})") from error
    console = Console(markup=False)
    console.print(diagnosis_table(result))
    console.print(attribution_table(result))
    console.print(f"diagnosis in {target}", highlight=False, soft_wrap=True)
    if code:
        raise typer.Exit(code)


def make_job(
    model: str,
    suite: Suite,
    condition: list[str],
    limit: int | None,
    backend: str,
    out: Path | None,
    repeats: int,
    seed: int,
    prompts: str,
    temperature: float,
    top_p: float,
    top_k: int,
    max_tokens: int,
    min_pixels: int,
    max_pixels: int,
    engine: dict[str, Any],
    trust_remote_code: bool,
) -> Evaluation:
    """What the options of a command that asks a model come to.

    Raises:
        UserError: the pixel limits contradict each other, or a condition is unknown.
    """
    from mgsd_bench.backends import BackendConfig, Sampling
    from mgsd_bench.evaluation.evaluate import Evaluation

    if min_pixels > max_pixels:
        raise UserError(f"--min-pixels {min_pixels}: must not exceed --max-pixels {max_pixels}")
    config = BackendConfig(
        model=model,
        sampling=Sampling(temperature, top_p, top_k, max_tokens=max_tokens, seed=seed),
        min_pixels=min_pixels,
        max_pixels=max_pixels,
        engine_args=engine,
        trust_remote_code=trust_remote_code,
    )
    folder = out or Path("runs") / f"{suite.name}-{Path(model).name.replace(':', '-')}"
    return Evaluation(suite, limit, options.conditions(condition), repeats, prompts, backend, config, folder)


def _evaluate(job: Evaluation, *, tables: bool = True) -> Exit:
    """Run a job and show what came of it.

    Raises:
        typer.Exit: requests failed, and nothing else is going to be shown.
    """
    from rich.console import Console

    from mgsd_bench.evaluation.evaluate import evaluate
    from mgsd_bench.report.tables import results_table

    console = Console(markup=False)
    summary, code = evaluate(job, console)
    for name, of_condition in summary.conditions.items() if tables else ():
        console.print()
        console.print(results_table(name, of_condition, Path(job.config.model).name))
    answered = summary.samples - summary.errors
    done = f"{answered} of {summary.samples} questions were answered; run in {job.out}"
    console.print(f"\n{done}", highlight=False, soft_wrap=True)
    if code:
        console.print(
            f"{summary.errors} requests failed and count as not solved; see `error` in {job.out}/samples.jsonl, "
            "and run the same command again to retry them",
            style="red",
            highlight=False,
            soft_wrap=True,
        )
        if tables:
            raise typer.Exit(code)
    return code

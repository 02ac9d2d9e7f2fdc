"""What self-distillation is worth: trains what `baselines/self-distillation.yaml` lists, asks it, writes the tables.

::

    python benchmarks/self_distillation.py run [QUESTION ...] [--steps 100] [--at-once 2] [--backend vllm]
    python benchmarks/self_distillation.py report

Trainings and runs lie under `runs/self-distillation`, and whatever was begun is gone on with. What they answered is
kept in `reports/self-distillation/outcomes.jsonl`, a line a training, from which the report is made; a training whose
recipe, suite and seed stand there is not done again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from mgsd_baselines.recipe_file import load_recipe
from mgsd_bench.analysis.groups import group_column
from mgsd_bench.analysis.run import load_run
from mgsd_bench.config.layers import read_layer
from mgsd_bench.config.validate import validate
from mgsd_bench.errors import UserError
from mgsd_bench.files import write_whole
from mgsd_bench.statistics.intervals import Estimate, Groups, macro, paired_difference, pooled

ROOT = Path(__file__).parents[1]
STUDY = ROOT / "baselines" / "self-distillation.yaml"
REPORT = ROOT / "reports" / "self-distillation"
RUNS = ROOT / "runs" / "self-distillation"
SUITE = "tiny-v1"
ASKED = ("--suite", SUITE, "--condition", "visual,symbolic", "--prompts", "compact", "--max-tokens", "160")
SOLVED = {"E2E": "visual", "Plan-on-GT": "symbolic"}
"""Shares of solved episodes, by the condition that they are asked under."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """A model to be asked: trained by a recipe with changes, or one that there is."""

    label: str
    recipe: str | None = None
    model: str | None = None
    set: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of trainings, the first of which the others are compared with; `curve` has them on an axis."""

    asks: str
    about: str
    compared: tuple[str, ...]
    curve: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Study:
    """The whole file."""

    seeds: tuple[int, ...]
    always: tuple[str, ...] = ()
    trainings: Mapping[str, Training]
    questions: Mapping[str, Question]


@dataclass(frozen=True, slots=True)
class Job:
    """One training with one seed."""

    name: str
    training: Training
    seed: int
    changes: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Where it is trained and asked."""
        return RUNS / f"{self.name}-{self.seed}"

    @property
    def digest(self) -> str:
        """What the training is, as 12 hexadecimal digits."""
        if self.training.recipe is None:
            return f"model {self.training.model}"
        recipe = json.dumps(load_recipe(self.training.recipe, self.changes).to_json(), sort_keys=True)
        return sha256(recipe.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a trained model answered: solved or not, by measure and by task and level in order of episodes.

    Attributes:
        name: name of the training.
        seed: its seed.
        digest: digest of the recipe.
        suite: digest of the suite.
        solved: by measure and then by `TASK/LEVEL` a text of one 0 or 1 an episode.
        state_f1: value, low and high of the macro average.
    """

    name: str
    seed: int
    digest: str
    suite: str
    solved: Mapping[str, Mapping[str, str]]
    state_f1: tuple[float, float, float]

    def groups(self, measure: str) -> Groups:
        """The values of a measure as the statistics take them."""
        tasks: dict[str, list[list[int]]] = {}
        for place, values in self.solved[measure].items():
            tasks.setdefault(place.partition("/")[0], []).append([int(value) for value in values])
        return list(tasks.values())


def read_study(path: Path = STUDY) -> Study:
    """The study, its names checked.

    Raises:
        UserError: the file is no study, or names a training that it does not describe.
    """
    layers = read_layer(path)
    study = validate(Study, layers)
    for name, question in study.questions.items():
        for training in (*question.compared, *question.curve):
            if training not in study.trainings:
                raise layers.error(("questions", name), f"{training} is not described under trainings; describe it")
    return study


def jobs(study: Study, questions: Sequence[str], steps: int) -> list[Job]:
    """All trainings of some questions, each once with every seed; models that there are once.

    Raises:
        UserError: there is no such question.
    """
    for name in questions:
        if name not in study.questions:
            raise UserError(f"question {name}: choose from {', '.join(study.questions)}")
    names = dict.fromkeys(name for asked in questions for name in study.questions[asked].compared)
    found = []
    for seed in study.seeds:
        for name in names:
            training = study.trainings[name]
            if training.recipe is None:
                found += [Job(name, training, seed, ())] if seed == study.seeds[0] else []
                continue
            last = load_recipe(training.recipe, training.set).stages[-1].name
            own = (f"seed={seed}", f"stages.{last}.trainer.max_steps={steps}")
            found.append(Job(name, training, seed, (*study.always, *training.set, *own)))
    return found


def read_outcomes() -> list[Outcome]:
    """What is known so far."""
    file = REPORT / "outcomes.jsonl"
    return [Outcome(**json.loads(line)) for line in file.read_text().splitlines()] if file.is_file() else []


def keep(outcome: Outcome) -> None:
    """Write an outcome, in the place of an older one of the same training and seed."""
    others = [each for each in read_outcomes() if (each.name, each.seed) != (outcome.name, outcome.seed)]
    lines = sorted(json.dumps(asdict(each)) for each in [*others, outcome])
    REPORT.mkdir(parents=True, exist_ok=True)
    write_whole(REPORT / "outcomes.jsonl", "".join(f"{line}\n" for line in lines))


def do(job: Job, backend: str) -> Path:
    """Train and ask; returns the folder of the run. Output goes to `log.txt` in the job's folder."""
    job.folder.mkdir(parents=True, exist_ok=True)
    model = job.training.model
    with (job.folder / "log.txt").open("a") as log:
        if job.training.recipe is not None:
            changes = [word for change in job.changes for word in ("--set", change)]
            mgsd("train", job.training.recipe, "--out", str(job.folder / "train"), "--resume", *changes, log=log)
            last = load_recipe(job.training.recipe, job.changes).stages[-1].name
            model = str(job.folder / "train" / last)
        out = job.folder / "eval"
        mgsd("diagnose", "--model", str(model), "--backend", backend, *ASKED, "--out", str(out), log=log)
    return out


def mgsd(*words: str, log: Any) -> None:
    """Run a command.

    Raises:
        UserError: it failed; names the file with its output.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    done = subprocess.run(
        [sys.executable, "-m", "mgsd_bench", *words], stdout=log, stderr=log, env=environment, check=False
    )
    if done.returncode:
        raise UserError(f"mgsd-bench {words[0]} ended with {done.returncode}; see {log.name}")


def outcome_of(job: Job, run: Path) -> Outcome:
    """What a finished run says."""
    loaded = load_run(run)
    table = loaded.diagnostic_frame
    solved = {}
    for measure, condition in SOLVED.items():
        groups = group_column(table[table["condition"] == condition], "solved")
        solved[measure] = {
            f"{stratum.task}/{stratum.level}": "".join(str(int(value)) for value in stratum.values)
            for stratum in groups.strata
        }
    state = group_column(table[table["condition"] == "visual"], "state", "f1").estimate()
    figures = (round(state.value, 5), round(state.low, 5), round(state.high, 5))
    return Outcome(job.name, job.seed, job.digest, loaded.identity["episodes_digest"], solved, figures)


def run(study: Study, questions: Sequence[str], steps: int, at_once: int, backend: str) -> None:
    """Do what is not yet known, several trainings at once."""
    known = {(each.name, each.seed, each.digest) for each in read_outcomes()}
    wanted = [job for job in jobs(study, questions, steps) if (job.name, job.seed, job.digest) not in known]
    with ThreadPoolExecutor(at_once) as pool:
        for number, (job, folder) in enumerate(
            zip(wanted, pool.map(lambda job: do(job, backend), wanted), strict=True), 1
        ):
            keep(outcome_of(job, folder))
            print(f"{number}/{len(wanted)} {job.name}, seed {job.seed}", flush=True)


def estimates(of: Sequence[Outcome]) -> dict[str, Estimate]:
    """Mean over seeds of each measure, macro averages over the tasks."""
    state = [Estimate(*each.state_f1, n=sum(map(len, each.solved["E2E"].values()))) for each in of]
    return {"State F1": pooled(state)} | {
        measure: pooled([macro(each.groups(measure)) for each in of]) for measure in SOLVED
    }


def difference(reference: Sequence[Outcome], other: Sequence[Outcome], measure: str) -> Estimate:
    """How much more the other solves on the same episodes, seed by seed; a model without seeds with each of them."""
    alike = len(reference) == len(other)
    pairs = zip(reference, other, strict=True) if alike else product(reference, other)
    return pooled([paired_difference(one.groups(measure), two.groups(measure)) for one, two in pairs], -1.0)


def page(study: Study, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The report, line by line."""
    by_name: dict[str, list[Outcome]] = {}
    for each in sorted(outcomes, key=lambda each: each.seed):
        by_name.setdefault(each.name, []).append(each)
    yield from ("# What self-distillation is worth", "", NOTE, "")
    for question in study.questions.values():
        yield from (f"## {question.asks}", "", question.about, "")
        yield "| training | seeds | State F1 | Plan-on-GT | E2E | E2E, to the first | Plan-on-GT, to the first |"
        yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
        first = by_name.get(question.compared[0], [])
        for name in question.compared:
            label, found = study.trainings[name].label, by_name.get(name, [])
            if not found:
                yield f"| {label} | not yet | | | | | |"
                continue
            figures = estimates(found)
            cells = [_cell(figures[measure]) for measure in ("State F1", "Plan-on-GT", "E2E")]
            apart = [
                _signed(difference(first, found, measure)) if first and found != first else "–"
                for measure in ("E2E", "Plan-on-GT")
            ]
            yield f"| {label} | {len(found)} | {' | '.join(cells + apart)} |"
        yield ""


NOTE = f"""Suite {SUITE}, 600 test episodes, prompts compact, greedy, at most 160 new tokens. In %: mean over seeds ±
standard deviation, in brackets the 95 % interval, the wider of that over seeds (t) and the mean of the seeds' own;
macro averages over the tasks. Differences are in points, on the same episodes, seed by seed."""


def _cell(figure: Estimate) -> str:
    spread = "" if figure.spread is None else f" ± {100 * figure.spread:.1f}"
    return f"{100 * figure.value:.1f}{spread} ({100 * figure.low:.0f}–{100 * figure.high:.0f})"


def _signed(figure: Estimate) -> str:
    return f"{100 * figure.value:+.1f} ({100 * figure.low:+.0f} to {100 * figure.high:+.0f})"


def curves(study: Study, outcomes: Sequence[Outcome]) -> Iterator[Path]:
    """A figure for each question that has its trainings on an axis, where at least two are known."""
    from matplotlib.figure import Figure

    for name, question in study.questions.items():
        known = {each: [o for o in outcomes if o.name == each] for each in question.curve}
        points = [(at, estimates(known[each])) for each, at in question.curve.items() if known[each]]
        if len(points) < 2:
            continue
        figure = Figure(figsize=(6, 3.6), layout="constrained")
        axes = figure.subplots()
        places = np.array([at for at, _ in points])
        for measure in ("State F1", "E2E", "Plan-on-GT"):
            values = [100 * of[measure].value for _, of in points]
            below = [value - 100 * of[measure].low for value, (_, of) in zip(values, points, strict=True)]
            above = [100 * of[measure].high - value for value, (_, of) in zip(values, points, strict=True)]
            axes.errorbar(places, values, yerr=[below, above], marker="o", capsize=3, label=measure)
        axes.set(xlabel="facts told falsely, %", ylabel="%", ylim=(0, 102), title=question.asks)
        axes.legend()
        file = REPORT / f"{name}.svg"
        figure.savefig(file, metadata={"Date": None})
        yield file


def main() -> None:
    """Run or report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("run", "report"))
    parser.add_argument("questions", nargs="*")
    parser.add_argument("--steps", type=int, default=100, help="optimiser steps of the last stage")
    parser.add_argument("--at-once", type=int, default=2, help="trainings side by side, each on one core")
    parser.add_argument("--backend", default="vllm")
    given = parser.parse_args()
    try:
        study = read_study()
        if given.what == "run":
            run(study, given.questions or list(study.questions), given.steps, given.at_once, given.backend)
        outcomes = read_outcomes()
        REPORT.mkdir(parents=True, exist_ok=True)
        write_whole(REPORT / "tables.md", "\n".join(page(study, outcomes)))
        list(curves(study, outcomes))
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

"""What a training says of itself: a file of metrics, throughput, and one line of progress.

Order matters: :class:`Throughput` adds to the logs that :class:`MetricsFile` writes, so it comes first.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import progress
from rich.console import Console
from transformers import PrinterCallback, ProgressCallback, TrainerCallback

from mgsd_bench.files import write_whole

if TYPE_CHECKING:
    from transformers import Trainer, TrainerControl, TrainerState, TrainingArguments

SECONDS_BETWEEN_LINES = 10.0


class MetricsFile(TrainerCallback):  # type: ignore[misc]
    """Appends every log to a JSON Lines file: ``{"step": 50, "epoch": 0.4, "time": 1732312345.6, "loss": ...}``.

    ``time`` is in seconds since 1970; a number that is not finite is null. A training that is resumed takes back the
    lines beyond the step that it goes on from, and one that starts anew all of them. Only the main process writes.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Cut the file back to the step that training starts from."""
        if not state.is_world_process_zero:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kept = [line for line, row in _rows(self.path) if row["step"] <= state.global_step] if state.global_step else []
        write_whole(self.path, "".join(f"{line}\n" for line in kept))

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **kwargs: object,
    ) -> None:
        """Append one line."""
        if not state.is_world_process_zero or not logs:
            return
        epoch = None if state.epoch is None else round(state.epoch, 4)
        row = {"step": state.global_step, "epoch": epoch, "time": round(time.time(), 3)}
        row |= {key: _plain(value) for key, value in logs.items() if key not in row}
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")


class Throughput(TrainerCallback):  # type: ignore[misc]
    """Adds to the logs of training ``seconds_per_step``, ``tokens_per_second`` and ``peak_memory_gib``.

    Time spent on validating and saving is left out; waiting for data and, where the method samples answers, sampling is
    not. Tokens are those of the model's inputs over all processes, prompts included, as the trainer counts them; where
    it does not, the figure is left out. Memory is the most that torch has held on this process's GPU, or without one
    the most that the process has had resident.
    """

    def __init__(self) -> None:
        self._mark = 0.0
        self._seconds = 0.0
        self._steps = 0
        self._tokens: float | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Start the clock."""
        self._mark = time.monotonic()
        self._seconds, self._steps = 0.0, 0
        self._tokens = None if state.global_step else 0.0  # not every trainer goes on counting when it is resumed

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Count a step and its time."""
        now = time.monotonic()
        self._seconds += now - self._mark
        self._steps += 1
        self._mark = now

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Leave the validation's time out."""
        self._mark = time.monotonic()

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object) -> None:
        """Leave the time of saving out."""
        self._mark = time.monotonic()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: object,
    ) -> None:
        """Add the figures since the last log."""
        if not logs or "loss" not in logs or not self._steps:
            return
        logs["seconds_per_step"] = round(self._seconds / self._steps, 4)
        tokens = logs.get("num_tokens") or state.num_input_tokens_seen
        if tokens and self._tokens is not None and tokens > self._tokens and self._seconds > 0:
            logs["tokens_per_second"] = round((tokens - self._tokens) / self._seconds, 1)
        logs["peak_memory_gib"] = round(peak_memory() / 2**30, 3)
        self._seconds, self._steps, self._tokens = 0.0, 0, tokens


class Progress(TrainerCallback):  # type: ignore[misc]
    """A live bar on a terminal, a plain line now and then elsewhere; with the last loss and the best macro average.

    Args:
        name: what is trained.
        report: gets the plain lines; by default they go to ``console``.
        console: where the bar is shown, if it is a terminal; by default standard error.
    """

    def __init__(self, name: str, report: Callable[[str], None] | None = None, console: Console | None = None) -> None:
        self._name = name
        self._report = report
        self._console = console or Console(file=sys.stderr)
        self._bar: progress.Progress | None = None
        self._row = progress.TaskID(0)
        self._facts: dict[str, str] = {}
        self._began = self._last_time = 0.0
        self._last_line = ""
        self._first_step = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Show the bar."""
        self._began = self._last_time = time.monotonic()
        self._first_step = state.global_step
        if state.is_world_process_zero and self._console.is_terminal:
            self._bar = progress.Progress(
                progress.TextColumn("{task.description}"),
                progress.BarColumn(),
                progress.MofNCompleteColumn(),
                progress.TextColumn("{task.fields[facts]}"),
                progress.TimeRemainingColumn(),
                console=self._console,
            )
            self._row = self._bar.add_task(self._name, total=state.max_steps, completed=state.global_step, facts="")
            self._bar.start()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Move on by a step."""
        self._show(state)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **kwargs: object,
    ) -> None:
        """Take over the loss and the validation's result."""
        for key, name in (("loss", "loss"), ("reward", "reward"), ("eval_macro", "macro")):
            value = (logs or {}).get(key)
            if isinstance(value, float | int):
                self._facts[name] = f"{name} {100 * value:.1f} %" if name == "macro" else f"{name} {value:.4f}"
        self._show(state, now="eval_macro" in (logs or {}))

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Take the bar away and leave a last line."""
        self._stop()
        self._show(state, now=True)

    def _stop(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None

    def _show(self, state: TrainerState, *, now: bool = False) -> None:
        if not state.is_world_process_zero or not state.max_steps:
            return
        facts = ", ".join(self._facts.values())
        if self._bar:
            self._bar.update(self._row, completed=state.global_step, facts=facts)
        elif now or time.monotonic() - self._last_time >= SECONDS_BETWEEN_LINES:
            self._last_time = time.monotonic()
            line = f"{self._name}: {state.global_step}/{state.max_steps} steps"
            if facts:
                line += f", {facts}"
            done = state.global_step - self._first_step
            if done > 0 and state.global_step < state.max_steps:
                left = (time.monotonic() - self._began) / done * (state.max_steps - state.global_step)
                line += f", {left:.0f} s left"
            if line == self._last_line:
                return
            self._last_line = line
            if self._report:
                self._report(line)
            else:
                self._console.print(line, highlight=False, soft_wrap=True)


def quiet(trainer: Trainer) -> None:
    """Take the trainer's own bar and printed logs away."""
    for callback in (ProgressCallback, PrinterCallback):
        trainer.remove_callback(callback)


def peak_memory() -> int:
    """The most memory so far, in bytes: torch's on this process's GPU, or without one the process's resident set."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _rows(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """The whole lines of a metrics file, with what they say; a torn last line is left out."""
    lines = []
    for line in path.read_text(errors="replace").splitlines() if path.exists() else ():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            lines.append((line, row))
    return lines


def _plain(value: object) -> float | int | str | None:
    """A value that JSON has."""
    if hasattr(value, "item"):
        value = float(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, bool | int | str | None) else str(value)

"""What a gate is asked, and what the engine's noise is measured with."""

# types here are no texts (no `from __future__ import annotations`): fields are inherited from another module

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from mgsd_bench.config.settings import Panel, Setting
from mgsd_bench.evaluation.settings import ENGINE, OUTPUT, BackendName, Conditions, EngineSettings, EvaluationSettings

GATE = Panel.GATE
FOLDER = Path("baselines") / "gate"
"""Where baselines are kept by name."""


@dataclass(frozen=True, kw_only=True)
class GateSettings(EngineSettings):
    """A new checkpoint, its baseline, and what counts as a regression."""

    baseline: Annotated[str, Setting("Run folder, or name of a saved baseline.", GATE)]
    candidate: Annotated[Path | None, Setting("Finished run of the new checkpoint.", GATE)] = None
    policy: Annotated[Path | None, Setting("YAML file; see docs/gate.md. Else the defaults.", GATE)] = None
    folder: Annotated[Path, Setting("Folder with the named baselines.", GATE)] = FOLDER
    inconclusive: Annotated[str | None, Setting("Count an undecided gate as pass or fail.", GATE)] = None
    model: Annotated[str | None, Setting("Ask this model first, just as the baseline was asked.", ENGINE)] = None
    sequential: Annotated[bool, Setting("With a model: stop as soon as the decision is certain.", ENGINE)] = False
    backend: Annotated[BackendName | None, Setting("With a model: instead of the baseline's backend.", ENGINE)] = None
    out: Annotated[Path | None, Setting("With a model: the candidate's run folder.", OUTPUT)] = None


@dataclass(frozen=True, kw_only=True)
class NoiseSettings(EvaluationSettings):
    """An evaluation that is made twice, the second time backwards."""

    model: Annotated[str, Setting("Run this model twice, the second time backwards.", ENGINE)] = field()
    conditions: Conditions = ("visual", "symbolic")
    out: Annotated[Path | None, Setting("Folder for the two runs.", OUTPUT)] = None

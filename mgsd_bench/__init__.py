"""mgsd-bench: benchmark and diagnostics for visual spatial planning with vision-language models.

The Python API, every name of which is imported when it is first used::

    import mgsd_bench as mb

    run = mb.evaluate(model="straight", backend="scripted", suite="smoke", out="runs/straight")
    run.to_pandas().groupby("task")["solved"].mean()
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mgsd_bench.analysis.closed_loop import LoopDiagnosis
    from mgsd_bench.analysis.comparison import Comparison
    from mgsd_bench.analysis.diagnosis import Diagnosis
    from mgsd_bench.analysis.robustness import Robustness
    from mgsd_bench.analysis.run import Run, load_run, load_runs
    from mgsd_bench.answers.reader import Answer, parse_answer
    from mgsd_bench.api import compare, diagnose, diagnose_loops, evaluate, gate, robustness
    from mgsd_bench.errors import UserError
    from mgsd_bench.gating.result import GateDecision
    from mgsd_bench.suites.suite import Suite

    __version__: str

_HOMES = {
    "Answer": "answers.reader",
    "Comparison": "analysis.comparison",
    "Diagnosis": "analysis.diagnosis",
    "Robustness": "analysis.robustness",
    "GateDecision": "gating.result",
    "LoopDiagnosis": "analysis.closed_loop",
    "Run": "analysis.run",
    "Suite": "suites.suite",
    "UserError": "errors",
    "compare": "api",
    "diagnose": "api",
    "diagnose_loops": "api",
    "evaluate": "api",
    "gate": "api",
    "load_run": "analysis.run",
    "load_runs": "analysis.run",
    "parse_answer": "answers.reader",
    "robustness": "api",
}
__all__ = [
    "Answer",
    "Comparison",
    "Diagnosis",
    "GateDecision",
    "LoopDiagnosis",
    "Robustness",
    "Run",
    "Suite",
    "UserError",
    "__version__",
    "compare",
    "diagnose",
    "diagnose_loops",
    "evaluate",
    "gate",
    "load_run",
    "load_runs",
    "parse_answer",
    "robustness",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("mgsd-bench")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"mgsd_bench.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__

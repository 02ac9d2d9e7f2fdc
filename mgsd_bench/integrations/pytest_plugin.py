"""The pytest fixture ``mgsd_gate``: is a checkpoint worse than its baseline?

pytest imports this module in every session wherever mgsd-bench is installed, so whatever is heavy is imported when the
fixture is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mgsd_bench.errors import SettingValue
    from mgsd_bench.gating.result import GateDecision

_DEFAULTS = {
    "baseline": "Baseline of the fixture mgsd_gate: a name, or a run folder.",
    "policy": "Policy of the fixture mgsd_gate: a YAML file.",
    "baselines": "Folder with the named baselines; else baselines/gate.",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """What the fixture takes where a test names none, on the command line or in the ini file."""
    group = parser.getgroup("mgsd-bench")
    for name, text in _DEFAULTS.items():
        group.addoption(f"--mgsd-{name}", metavar="NAME" if name == "baseline" else "PATH", help=text)
        parser.addini(f"mgsd_{name}", text)


@pytest.fixture(scope="session")
def mgsd_gate(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Gate:
    """Fail the test if a checkpoint is worse than its baseline: ``mgsd_gate(model="path", baseline="name")``."""
    return Gate(pytestconfig, tmp_path_factory)


class Gate:
    """What the fixture ``mgsd_gate`` gives a test: ``mgsd-bench gate`` as a function.

    A path is relative to pytest's root folder, one of the command line to where pytest was started.
    """

    def __init__(self, config: pytest.Config, folders: pytest.TempPathFactory) -> None:
        self._config, self._folders = config, folders

    def __call__(
        self,
        *,
        model: str | Path | None = None,
        candidate: str | Path | None = None,
        baseline: str | Path | None = None,
        policy: str | Path | None = None,
        inconclusive: str | None = None,
        sequential: bool = False,
        backend: str | None = None,
        out: str | Path | None = None,
        engine_args: Mapping[str, Any] | None = None,
        trust_remote_code: bool = False,
    ) -> GateDecision:
        """Gate a checkpoint.

        The test fails with the figures if the gate fails or is undecided, and with one line if there is no verdict: the
        runs cannot be compared, a file is missing, the engine died.

        Args:
            model: the checkpoint, to be asked first; either this or ``candidate``.
            candidate: its finished run.
            baseline: name of a saved baseline, or a run folder; else ``--mgsd-baseline`` or ini ``mgsd_baseline``.
            policy: YAML file; else ``--mgsd-policy``, ini ``mgsd_policy`` or the default policy.
            inconclusive: what an undecided gate counts as, ``fail``, ``skip`` or ``pass``; else what the policy says,
                or a failure.
            sequential: stop asking as soon as the decision is certain.
            backend: instead of the baseline's.
            out: run folder, to be resumed if it is there; else a new one in pytest's temporary folder.
            engine_args: arguments of the backend.
            trust_remote_code: run code that comes with the checkpoint.

        Returns:
            The decision of a gate that passed, or is undecided and counted as passed.
        """
        from mgsd_bench.errors import Exit, UserError
        from mgsd_bench.gating.job import GateJob, run_gate
        from mgsd_bench.gating.settings import FOLDER
        from mgsd_bench.terminal import Terminal

        root = self._config.rootpath
        against = _found(root, baseline) or self._default("baseline")
        if against is None:
            pytest.fail("mgsd_gate: no baseline; give baseline=, --mgsd-baseline or ini mgsd_baseline", pytrace=False)
        if model is not None and out is None:
            out = self._folders.mktemp("mgsd_gate")
        job = GateJob(
            baseline=against,
            candidate=_path(_found(root, candidate)),
            model=_found(root, model),
            policy=_path(_found(root, policy) or self._default("policy")),
            inconclusive="inconclusive" if inconclusive == "skip" else inconclusive,
            folder=Path(self._default("baselines") or root / FOLDER),
            sequential=sequential,
            backend=backend,
            out=None if out is None else root / out,
            engine_args=engine_args or {},
            trust_remote_code=trust_remote_code,
        )
        code: Exit
        try:
            report = run_gate(job, Terminal())
            code, text = report.exit_code, _text(report)
        except UserError as error:
            code, text = error.code, f"mgsd_gate: {error.spelled(_spelled)}"
        match code:
            case Exit.OK:
                return report
            case Exit.INTERRUPTED:
                raise KeyboardInterrupt
            case Exit.INCONCLUSIVE if inconclusive == "skip":
                pytest.skip(text)
            case _:
                pytest.fail(text, pytrace=False)

    def _default(self, name: str) -> str | None:
        config = self._config
        started: str | None = _found(config.invocation_params.dir, config.getoption(f"mgsd_{name}"))
        return started or _found(config.rootpath, config.getini(f"mgsd_{name}") or None)


def _spelled(name: str, value: SettingValue) -> str:
    """A setting as an argument of the fixture or, for the folder of baselines, as pytest takes it."""
    from mgsd_bench.errors import python

    names = {"engine": "engine_args", "folder": "--mgsd-baselines"}
    outer, dot, key = name.partition(".")
    return python(f"{names.get(outer, outer)}{dot}{key}", value)


def _found(base: Path, given: str | Path | None) -> str | None:
    """The path of what is there below a folder; anything else, such as a name, as it is."""
    if given is None:
        return None
    return str(base / given) if (base / given).exists() else str(given)


def _path(given: str | None) -> Path | None:
    return None if given is None else Path(given)


def _text(report: GateDecision) -> str:
    """The verdict, the figures, what lost most, and where the answers are."""
    from io import StringIO

    from mgsd_bench.report.gate import headline, show
    from mgsd_bench.terminal import Terminal

    stream = StringIO()
    show(report, Terminal(file=stream, width=100))
    return f"{headline(report)}\n{stream.getvalue()}answers in {report.candidate.run}"

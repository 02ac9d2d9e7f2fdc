"""What a run was made with: versions, commit and machine. Looked up without importing anything heavy."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mgsd_bench.backends.shared import installed_versions


def provenance(packages: Iterable[str] = ()) -> dict[str, Any]:
    """Versions of the packages that matter (and of further ones), git commit of this code, machine and command line."""
    return {
        "versions": {"python": platform.python_version(), **installed_versions(packages)},
        "git": _git(),
        "machine": {"system": platform.platform(), "processors": os.cpu_count()},
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _git() -> dict[str, Any] | None:
    """Commit of the checkout that this package runs from; None where it is not run from one."""
    here = Path(__file__).parent
    if not (here.parent / ".git").exists():
        return None
    command = ["git", "-C", str(here), "describe", "--always", "--abbrev=40", "--match=", "--dirty"]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": shown.removesuffix("-dirty"), "dirty": shown.endswith("-dirty")}

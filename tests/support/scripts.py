"""The modules of ``scripts``, which are no package: they run before anything is installed."""

from __future__ import annotations

import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))
try:
    import install
    import resolve
finally:
    sys.path.remove(str(SCRIPTS))

__all__ = ["install", "resolve"]

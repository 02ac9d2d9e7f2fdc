"""The modules of ``scripts``, which are no package: some run before anything is installed."""

from __future__ import annotations

import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))
try:
    import docs_check
    import docs_pages
    import docs_roles
    import install
    import resolve
    import results_page
finally:
    sys.path.remove(str(SCRIPTS))

__all__ = ["docs_check", "docs_pages", "docs_roles", "install", "resolve", "results_page"]

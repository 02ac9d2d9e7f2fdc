"""HTML reports of a small run."""

from __future__ import annotations

from pathlib import Path

from mgsd_bench.analysis.run import Run
from mgsd_bench.analysis.verdict import judge
from mgsd_bench.report.html import write_html

FIGURES = {"Fig. <1>": '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 5"><rect width="8" height="5"/></svg>'}
HOSTILE = (
    "</script><script>window.pwned=1</script><img src=x onerror='window.pwned=2'>"
    '<img src="http://example.invalid/leak"><!--<script>\u2028\ud800</SCRIPT >{{script}}<answer>L</answer>'
)


def write(out: Path, run: Run, *, diagnosed: bool = True, figures: dict[str, str] | None = None) -> Path:
    verdict = judge([run]) if diagnosed else None
    write_html(out, title="A <b>bold</b> title", verdict=verdict, runs=[run], figures=figures or {})
    return out

"""Which episodes are asked about: the settings that every command about a suite shares."""

# types here are no texts (no `from __future__ import annotations`): classes in other modules inherit these fields

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mgsd_bench.config.fields import Count, OneOf
from mgsd_bench.config.settings import Panel, Setting

ASKED = Panel.ASKED


@dataclass(frozen=True, kw_only=True)
class SuiteSettings:
    """Which episodes; every field says in its :class:`~mgsd_bench.config.settings.Setting` what it is."""

    suite: Annotated[str, Setting("Which suite; see `mgsd-bench suites`.", ASKED)] = "mgsd-v1"
    tasks: Annotated[
        tuple[str, ...], Setting("Only these tasks; comma-separated or repeated.", ASKED, "NAMES", items=True)
    ] = ()
    levels: Annotated[
        tuple[Count, ...], Setting("Only these levels; comma-separated or repeated.", ASKED, "NUMBERS", items=True)
    ] = ()
    limit: Annotated[Count | None, Setting("Episodes a level, spread evenly over plan lengths.", ASKED, "N")] = None
    theme: Annotated[str | None, Setting("Look of the images, instead of the suite's.", ASKED)] = None
    data_root: Annotated[
        Path | None, Setting("Folder with others' test sets, at any depth; for suites read from them.", ASKED)
    ] = None
    image: Annotated[
        Annotated[str, OneOf(("classic", "original"))] | None,
        Setting("Of others' test sets: classic (our render) or original (the set's own, where it has any).", ASKED),
    ] = None
    strict: Annotated[bool, Setting("In others' test sets, a damaged record is an error, not left out.", ASKED)] = False

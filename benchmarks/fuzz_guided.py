"""Look for inputs on which a reader of what others write breaks a promise; guided by coverage where atheris is there.

    python benchmarks/fuzz_guided.py [TARGET ...] [--seconds 600] [--corpus DIR] [--short] [--out FILE] [--keep]

Targets and their promises are those of ``tests/support/fuzz_targets.py``. Inputs that reach new branches stay in DIR,
and so do those that break a promise, below ``broken``. ``--keep`` puts the few that together reach nearly all of it
into ``tests/fuzz``, which every run of the tests replays. Without atheris (``pip install atheris``) the same inputs are
changed at random. Writes ``reports/reliability/fuzz.md``. Exits with 1 if a promise was broken.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import random
import re
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

REPORT = ROOT / "reports" / "reliability" / "fuzz.md"
NAMES = ("answers", "states", "runs", "suites", "policies", "configs", "replies")
SHORT = 5.0  # seconds a target
MOST_DATA = 3 * 2**30  # bytes; whoever wants more gets a MemoryError, which breaks a promise
HANG = 25  # seconds after which an input does not end
BUDGET = 13_000  # bytes that are kept of a target

INTRODUCTION = """\
Readers of what others write get bytes that were made from valid inputs: by a fuzzer that is guided by the branches that
an input reaches (atheris, libFuzzer) and by changes that know numbers, texts, lines and words of the format. Survived
means: nothing but the documented error, one line, came out; it took less than 2 s of a processor and 3 GB; and what was
accepted is well-formed: plans of known actions, facts in range, shares from 0 to 1 with their intervals around them,
episodes that can be solved, texts and waits of servers within their bounds."""


@dataclass
class Result:
    """What came of fuzzing one target."""

    target: str
    inputs: int = 0
    accepted: int = 0
    broken: int = 0
    seconds: float = 0.0
    branches: int = 0
    corpus: int = 0
    guided: bool = False
    faults: dict[str, str] = field(default_factory=dict)


# ---- one target, in a process of its own


class Session:
    """Runs inputs of one target, counts them, and keeps those that break a promise."""

    def __init__(self, name: str, folder: Path, told: Path, guided: bool) -> None:
        from support import fuzz_corpus, fuzz_targets

        self.target = fuzz_targets.TARGETS[name]
        self._broken, self._mutated = fuzz_targets.broken, fuzz_corpus.mutated
        self.folder, self._told = folder, told
        self.words = [word.encode("utf-8", "surrogatepass") for word in self.target.words]
        self.result = Result(name, guided=guided)
        self._began = self._written = time.monotonic()
        self.pool: list[bytes] = [*self.target.seeds(), *fuzz_corpus.kept(self.target)]
        (folder / name).mkdir(parents=True, exist_ok=True)
        for data in self.pool:
            (folder / name / sha256(data).hexdigest()[:20]).write_bytes(data)
        self._warm_up()
        self._began = time.monotonic()

    def _warm_up(self) -> None:
        """What is imported and compiled at first use takes no input's time."""
        if self.target.name == "configs":
            from mgsd_baselines.recipe_file import load_recipe

            load_recipe("tiny")
        for data in self.target.seeds():
            self.target.check(data)

    def one(self, data: bytes) -> None:
        """Run one input."""
        fault = self._broken(self.target, data)
        self.result.inputs += 1
        if fault:
            self.result.broken += 1
            kind = re.sub("[0-9]+", "0", fault)[:90]
            if kind not in self.result.faults:
                self.result.faults[kind] = fault
                place = self.folder / "broken" / f"{self.target.name}-{sha256(data).hexdigest()[:12]}"
                place.parent.mkdir(exist_ok=True)
                place.write_bytes(data)
        if fault or time.monotonic() - self._written > 1:
            self.tell()

    def tell(self) -> None:
        """Write down how far it is: a fuzzer ends without coming back."""
        self._written = time.monotonic()
        self.result.seconds = self._written - self._began
        self._told.write_text(json.dumps(asdict(self.result)))

    def mutate(self, data: bytes, seed: int) -> bytes:
        """A changed input."""
        return self._mutated(data, random.Random(seed), self.words, self.pool)


def guided(name: str, seconds: float, folder: Path, told: Path) -> None:
    """Fuzz with atheris; does not return."""
    atheris: Any = import_module("atheris")
    with atheris.instrument_imports(include=["mgsd_bench", "mgsd_envs", "mgsd_baselines"]):
        session = Session(name, folder, told, True)

    def custom(data: bytes, most: int, seed: int) -> bytes:
        if seed % 2:
            return session.mutate(bytes(data), seed)[:most]
        return bytes(atheris.Mutate(data, most))

    options = [
        f"-max_total_time={round(seconds)}", f"-timeout={HANG}", "-rss_limit_mb=3000", "-max_len=20000",
        f"-artifact_prefix={folder}/broken/{name}-", "-print_final_stats=1",
    ]  # fmt: skip
    (folder / "broken").mkdir(exist_ok=True)
    atheris.Setup([sys.argv[0], str(folder / name), *options], session.one, custom_mutator=custom)
    atheris.Fuzz()


def unguided(name: str, seconds: float, folder: Path, told: Path, seed: int) -> None:
    """Change inputs at random; those that are accepted are changed further."""
    session, rng = Session(name, folder, told, False), random.Random(seed)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = session.mutate(rng.choice(session.pool), rng.getrandbits(64))
        faulthandler.dump_traceback_later(HANG, exit=True)
        session.one(data)
        if len(session.pool) < 2_000 and rng.random() < 0.05:
            session.pool.append(data)
    session.tell()


# ---- all targets


def fuzz(name: str, seconds: float, folder: Path, seed: int) -> Result:
    """Fuzz one target in a process of its own."""
    with TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as scratch:
        told = Path(scratch) / "told.json"
        words = [name, "--seconds", str(seconds), "--corpus", str(folder), "--seed", str(seed), "--inside", str(told)]
        done = subprocess.run(
            [sys.executable, __file__, *words],
            env={**os.environ, "TMPDIR": scratch, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
        )  # fmt: skip
        result = Result(**json.loads(told.read_text())) if told.exists() else Result(name)
    if done.returncode:
        result.broken += 1
        result.faults["ended"] = f"the process ended with {done.returncode}: {done.stdout[-1500:]}"
    if found := re.findall(r"cov: (\d+)", done.stdout):
        result.branches = int(found[-1])
    result.corpus = sum(1 for _ in (folder / name).iterdir())
    return result


def inside(name: str, given: argparse.Namespace) -> None:
    """Fuzz one target in this process."""
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_DATA, MOST_DATA))
    if find_spec("atheris"):
        guided(name, given.seconds, given.corpus, given.inside)
    unguided(name, given.seconds, given.corpus, given.inside, given.seed)


def page(results: Sequence[Result]) -> str:
    """The report: a row a target."""
    from support.fuzz_targets import TARGETS

    rows = [
        "# Fuzzed readers", "", INTRODUCTION, "",
        "| class | what | n | survived | s | a second | branches | corpus |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]  # fmt: skip
    rows += [
        f"| {each.target} | {TARGETS[each.target].what} | {each.inputs} | {each.inputs - each.broken} | "
        f"{each.seconds:.0f} | {each.inputs / max(each.seconds, 1):.0f} | {each.branches or '–'} | {each.corpus} |"
        for each in results
    ]
    total, lost = sum(each.inputs for each in results), sum(each.broken for each in results)
    seconds = sum(each.seconds for each in results)
    rows.append(f"| **all** |  | {total} | {total - lost} | {seconds:.0f} | {total / max(seconds, 1e-9):.0f} |  |  |")
    how = Counter("guided by coverage" if each.guided else "changed at random, unguided" for each in results)
    rows += [
        "", "Made by `python benchmarks/fuzz_guided.py`, a target after the other for the seconds that its row says "
        f"({', '.join(f'{number} targets {word}' for word, number in how.items())}). n: inputs; branches: of our code, "
        "as libFuzzer counts them; corpus: inputs that each reach something new."
    ]  # fmt: skip
    faults = [f"- {each.target}: {fault}" for each in results for fault in each.faults.values()]
    return "\n".join([*rows, *(["", "Not survived:", "", *faults] if faults else []), ""])


# ---- the corpus that is kept


def reached(check: Callable[[bytes], Any], data: bytes) -> set[tuple[str, int, int]]:
    """The steps from line to line of our code that an input takes."""
    steps: set[tuple[str, int, int]] = set()

    def enter(frame: Any, event: str, _: Any) -> Any:
        if "/mgsd_" not in (file := frame.f_code.co_filename):
            return None
        before = frame.f_lineno

        def line(frame: Any, event: str, _: Any) -> Any:
            nonlocal before
            steps.add((file, before, frame.f_lineno))
            before = frame.f_lineno
            return line

        return line

    sys.settrace(enter)
    try:
        check(data)
    finally:
        sys.settrace(None)
    return steps


def smallest(check: Callable[[bytes], Any], inputs: Iterable[bytes], most: int = BUDGET) -> list[bytes]:
    """Of inputs those that reach most for their bytes, of ``most`` bytes in all; each reaches something of its own."""
    found = {data: reached(check, data) for data in sorted(set(inputs), key=len)}
    kept: list[bytes] = []
    known: set[tuple[str, int, int]] = set()
    while found:
        data = max(found, key=lambda each: len(found[each] - known) / (len(each) + 40))
        if not (new := found.pop(data) - known):
            break
        if sum(map(len, kept)) + len(data) <= most:
            kept.append(data)
            known |= new
    return kept


def keep(names: Iterable[str], folder: Path) -> None:
    """Choose what is kept of each target's inputs."""
    from support import fuzz_corpus, fuzz_targets

    for name in names:
        target = fuzz_targets.TARGETS[name]
        inputs = [path.read_bytes() for path in (folder / name).iterdir()]
        light = [data for data in inputs if not (name == "configs" and (b"extends" in data or b"trainer" in data))]
        chosen = smallest(target.check, light)
        fuzz_corpus.keep(target, chosen)
        print(f"{name}: {len(chosen)} of {len(inputs)} inputs, {sum(map(len, chosen)):,} bytes")


def main() -> None:
    """Fuzz, or keep what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", choices=[*NAMES, []], metavar="TARGET")
    parser.add_argument("--seconds", type=float, default=600.0, help="for each target")
    parser.add_argument("--corpus", type=Path, help="folder of inputs to go on from; a new one by default")
    parser.add_argument("--short", action="store_true", help=f"{SHORT:.0f} s for each target")
    parser.add_argument("--seed", type=int, default=0, help="of the changes where there is no atheris")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--keep", action="store_true", help="choose from --corpus what the tests replay, and end")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    names = given.targets or NAMES
    if given.inside:
        return inside(names[0], given)
    with TemporaryDirectory() as fresh:
        folder = (given.corpus or Path(fresh)).resolve()
        if given.keep:
            return keep(names, folder)
        results = []
        for name in names:
            results.append(fuzz(name, SHORT if given.short else given.seconds, folder, given.seed))
            print(results[-1], flush=True)
    from support.survival import publish

    publish(page(results), given.out or (None if given.short else REPORT))
    sys.exit(any(each.broken for each in results))


if __name__ == "__main__":
    main()

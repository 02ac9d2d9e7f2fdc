"""Replies made from the schema of chat completions, and near misses, by a real server to a real evaluation.

    python benchmarks/fuzz_chat.py [--count 2000] [--seed 0] [--short] [--out FILE]

Writes ``reports/reliability/chat.md``. Exits with 1 if a reply was not read as it is documented.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from mgsd_bench.config.settings import make_settings  # noqa: E402
from mgsd_bench.errors import UserError  # noqa: E402
from mgsd_bench.evaluation.evaluate import Evaluation, evaluate  # noqa: E402
from mgsd_bench.evaluation.settings import EvaluationSettings  # noqa: E402
from mgsd_bench.runs.stored import read_samples  # noqa: E402
from mgsd_bench.terminal import Terminal  # noqa: E402
from support.chat_replies import SCHEMA, Meaning, generate, meaning, near  # noqa: E402
from support.chat_server import PROBE, ChatServer, completion, question  # noqa: E402
from support.survival import publish  # noqa: E402

REPORT = ROOT / "reports" / "reliability" / "chat.md"
SHORT = 200
A_RUN = 100  # questions, of lakes of one size: each of another text, by which a reply is told apart
LONGEST_LINE = 200

INTRODUCTION = """\
Replies are drawn by hypothesis from the schema of `POST /chat/completions` as the API documents it, with what vLLM and
gateways add, half of them then changed: a field less, another value or type in one place or two, other bytes. A server
on this machine gives each to one question of an evaluation (`--backend openai`, no second tries). What each means is
read a second time by a reading of the tests' own. Survived means: the text that is stored in `samples.jsonl` is the
text that was sent, with its tokens and whether it was cut; a reply without an answer is stored as a failed request with
one line of at most 200 printable characters; and the run's own sum of tokens is that of the replies."""


@dataclass
class Reply:
    """A reply, and what became of it."""

    kind: str
    body: bytes
    means: Meaning
    problems: list[str] = field(default_factory=list)


def drawn(count: int, number: int) -> list[Any]:
    """Replies of the schema."""
    found: list[Any] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(generate(SCHEMA))
    def draw(reply: Any) -> None:
        found.append(reply)

    draw()
    return found[:count]


def replies(count: int, number: int) -> list[Reply]:
    """Valid replies and near misses, by turns."""
    rng = Random(number)
    made = []
    for i, reply in enumerate(drawn(count, number)):
        body = (
            near(reply, rng)
            if i % 2
            else json.dumps(reply, ensure_ascii=rng.random() < 0.5).encode(errors="surrogatepass")
        )
        made.append(Reply("near miss" if i % 2 else "valid", body, meaning(body)))
    return made


def ask(these: Sequence[Reply], folder: Path) -> None:
    """Let one evaluation get these replies, and note what is wrong with what it stores."""
    given: dict[str, Reply] = {}
    left = iter(these)

    def answer(body: dict[str, Any]) -> Any:
        text = question(body["messages"])[0]
        if text == PROBE:
            return "OK"
        given[text] = next(left)
        return 200, {}, given[text].body

    with ChatServer(answer) as server:
        chosen = make_settings(
            EvaluationSettings, model="fake", backend="openai", base_url=(server.url,), suite="mgsd-v1",
            conditions=("symbolic",), tasks=("frozenlake",), levels=(8,), limit=len(these), prompts="compact",
            out=folder, engine={"retries": 0, "concurrency": 1, "backoff": 0.01, "patience": 0.5},
        )  # fmt: skip
        folder.mkdir(parents=True)
        with (folder.parent / "shown.txt").open("w") as shown:
            try:
                evaluate(Evaluation.from_settings(chosen, lambda note: None), Terminal(file=shown))
            except UserError as error:
                these[0].problems.append(f"the run ended: {error}")
    by_place = list(given.values())
    samples = list(read_samples(folder))
    if len(samples) != len(by_place):
        these[0].problems.append(f"{len(samples)} samples of {len(by_place)} replies")
    for sample, reply in zip(samples, by_place, strict=False):
        _compare(sample, reply)
    (session,) = json.loads((folder / "run.json").read_text())["sessions"]
    counted, probe = session["usage"], completion("OK")["usage"]
    for name in ("prompt_tokens", "completion_tokens"):
        sent = sum(getattr(reply.means, name) or 0 for reply in by_place)
        sent += (counted["requests"] - len(by_place)) * probe[name]  # the first questions, which are of no episode
        if counted[name] != sent:
            these[0].problems.append(f"{counted[name]} {name} were counted, and {sent} sent")


def _compare(sample: Any, reply: Reply) -> None:
    means = reply.means
    if means.text is None:
        if sample.outcome != "error" or not sample.error:
            reply.problems.append(f"read as {sample.text[:60]!r}, and is no answer")
        elif len(sample.error) > LONGEST_LINE or not sample.error.isprintable():
            reply.problems.append(f"said {sample.error!r}")
        return
    if sample.outcome == "error":
        reply.problems.append(f"is an answer, and was refused: {sample.error}")
    elif sample.text != means.text:
        reply.problems.append(f"stored {sample.text[:60]!r} of {means.text[:60]!r}")
    elif (sample.finish_reason == "length") != means.cut:
        reply.problems.append(f"finish reason {sample.finish_reason}")
    elif (sample.prompt_tokens, sample.completion_tokens) != (means.prompt_tokens, means.completion_tokens):
        reply.problems.append(f"tokens {sample.prompt_tokens}, {sample.completion_tokens}")


def page(done: Sequence[Reply], number: int) -> str:
    """The report: a row a kind of reply and of meaning."""
    rows = [
        "# Replies from the schema", "", INTRODUCTION, "",
        "| class | what | n | survived |", "| --- | --- | ---: | ---: |",
    ]  # fmt: skip
    kinds = {
        ("valid", True): "replies of the schema that hold an answer",
        ("valid", False): "replies of the schema without one: filtered, tool calls, no content",
        ("near miss", True): "near misses that hold an answer all the same",
        ("near miss", False): "near misses that hold none",
    }
    for (kind, answers), what in kinds.items():
        name = kind if answers else f"{kind}, no answer"
        these = [each for each in done if each.kind == kind and (each.means.text is not None) == answers]
        rows.append(f"| {name} | {what} | {len(these)} | {sum(not each.problems for each in these)} |")
    rows.append(f"| **all** |  | {len(done)} | {sum(not each.problems for each in done)} |")
    rows += ["", f"Made by `python benchmarks/fuzz_chat.py --count {len(done)} --seed {number}`."]
    lost = [f"- {each.kind}: {'; '.join(each.problems)}: `{each.body[:300]!r}`" for each in done if each.problems]
    return "\n".join([*rows, *(["", "Not survived:", "", *lost] if lost else []), ""])


def main() -> None:
    """Send the replies and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--short", action="store_true", help=f"{SHORT} replies")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    done = replies(SHORT if given.short else given.count, given.seed)
    with TemporaryDirectory() as name:
        for start in range(0, len(done), A_RUN):
            ask(done[start : start + A_RUN], Path(name) / str(start) / "run")
    publish(page(done, given.seed), given.out or (None if given.short else REPORT))
    print(Counter(problem[:40] for each in done for problem in each.problems))
    sys.exit(any(each.problems for each in done))


if __name__ == "__main__":
    main()

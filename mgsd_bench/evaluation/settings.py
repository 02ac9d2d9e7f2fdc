"""What an evaluation asks, of which model, and how: one set of names and defaults for every front end.

The command line, files (``--config``) and Python fill these classes; the fields' names are those of the options.
"""

# types here are no texts (no `from __future__ import annotations`): classes in other modules inherit these fields

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mgsd_bench.config.fields import Amount, Bounds, Check, Count, Natural, NumberOr, OneOf, Repeats, Share
from mgsd_bench.config.layers import Layers
from mgsd_bench.config.settings import Panel, Setting
from mgsd_bench.errors import UserError, option
from mgsd_bench.suites.settings import ASKED, SuiteSettings

if TYPE_CHECKING:
    from mgsd_bench.prompts.protocol import LoopSettings

ENGINE, SAMPLING, OUTPUT, LOOP = Panel.ENGINE, Panel.SAMPLING, Panel.OUTPUT, Panel.LOOP


def _conditions() -> tuple[str, ...]:
    from mgsd_bench.prompts import CONDITIONS

    return CONDITIONS


def _one_shot() -> tuple[str, ...]:
    from mgsd_bench.prompts import ONE_SHOT, in_order

    return in_order(ONE_SHOT)


def _backends() -> tuple[str, ...]:
    from mgsd_bench.backends import NAMES

    return NAMES


BackendName = Annotated[str, OneOf(_backends)]
Conditions = Annotated[
    tuple[Annotated[str, OneOf(_conditions)], ...],
    Setting(
        "visual, symbolic, perceive, direct; turn by turn: act, act-symbolic, act-stale, act-blind. "
        "Comma-separated or repeated.",
        ASKED,
        "NAMES",
        items=True,
    ),
]
OneShotConditions = Annotated[
    tuple[Annotated[str, OneOf(_one_shot)], ...],
    Setting("visual, symbolic, perceive, direct; comma-separated or repeated.", ASKED, "NAMES", items=True),
]


def _view_problem(text: str) -> str | None:
    from mgsd_envs.grid import MAX_LEVEL
    from mgsd_envs.views import View

    try:
        View.parse(text)
    except ValueError:
        return f"full, fog:R or window:R, with R from 1 to {MAX_LEVEL}"
    return None


def _name_problem(text: str) -> str | None:
    if text.isprintable() and text == text.strip() and 0 < len(text) <= LONGEST_NAME and not set(text) & set("/\\:"):
        return None
    return f"a name of at most {LONGEST_NAME} characters, without / \\ and :"


LONGEST_NAME = 60
"""The most characters that a person may be called by."""


@dataclass(frozen=True, kw_only=True)
class LoopOptions:
    """How the closed loop goes; see docs/closed-loop.md."""

    view: Annotated[
        Annotated[str, Check(_view_problem)], Setting("full, fog:R or window:R, R cells around.", LOOP, "VIEW")
    ] = "full"
    history: Annotated[
        Annotated[str, NumberOr("all", 0)], Setting("Past turns that a turn shows: a number, or all.", LOOP, "N")
    ] = "4"
    feedback: Annotated[
        Annotated[str, OneOf(("result", "none"))],
        Setting("What is said of the last action: result or none.", LOOP),
    ] = "result"
    remember: Annotated[
        Annotated[str, OneOf(("answers", "all"))],
        Setting("What past turns show of an answer: answers (the actions) or all.", LOOP),
    ] = "answers"
    chunk: Annotated[
        Annotated[str, NumberOr("plan", 1)],
        Setting("Actions of an answer that are done: a number, or plan.", LOOP, "N"),
    ] = "1"
    say_state: Annotated[bool, Setting("Each answer is to state what it sees, too.", LOOP)] = False
    no_stop_stuck: Annotated[bool, Setting("Let a greedy model go on that repeats itself.", LOOP)] = False

    def loop(self) -> "LoopSettings":
        """These settings as the runner takes them."""
        from mgsd_bench.prompts.protocol import LoopSettings
        from mgsd_envs.views import View

        return LoopSettings(
            view=View.parse(self.view),
            history=None if self.history == "all" else int(self.history),
            feedback=self.feedback == "result",
            remember="all" if self.remember == "all" else "answers",
            chunk=None if self.chunk == "plan" else int(self.chunk),
            say_state=self.say_state,
            stop_stuck=not self.no_stop_stuck,
        )


@dataclass(frozen=True, kw_only=True)
class QuestionSettings(SuiteSettings):
    """What is asked about the episodes, and where the run is kept."""

    conditions: Conditions = ("visual",)
    repeats: Annotated[Repeats, Setting("How often each question is asked.", ASKED)] = 1
    prompts: Annotated[str, Setting("default, compact, or a folder of your own.", ASKED)] = "default"
    out: Annotated[Path | None, Setting("Run folder; one that holds this run already is resumed.", OUTPUT)] = None


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """A model, and how it is run; who inherits these says which of them has to be given."""

    model: Annotated[str | None, Setting("Folder or name of a model.", ENGINE)] = None
    backend: Annotated[BackendName | None, Setting("vllm, openai, hf, ray, scripted or recorded.", ENGINE)] = None
    base_url: Annotated[
        tuple[str, ...],
        Setting(
            "Server for the backend openai; repeat it to share the work. Default: $OPENAI_BASE_URL, else OpenAI's own.",
            ENGINE,
            "URL",
        ),
    ] = ()
    engine: Annotated[
        Mapping[str, Any],
        Setting("Backend's own argument, repeatable, for example max_num_seqs=64", ENGINE, "KEY=VALUE"),
    ] = field(default_factory=dict)
    trust_remote_code: Annotated[bool, Setting("Run code that comes with the checkpoint.", ENGINE)] = False

    def engine_args(self) -> dict[str, Any]:
        """The backend's own arguments, servers included.

        Raises:
            UserError: servers are named among the arguments, or to a backend that asks none.
        """
        if "base_url" in self.engine:
            raise UserError(f"{option('engine.base_url', '...')}: use {option('base_url')}")
        if self.base_url and self.backend not in (None, "openai"):
            raise UserError(
                f"{option('base_url', _without_secrets(self.base_url[0]))}: {option('backend', self.backend)} asks no "
                f"server; add {option('backend', 'openai')}"
            )
        return {**self.engine, "base_url": list(self.base_url)} if self.base_url else dict(self.engine)


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings(EngineSettings, LoopOptions, QuestionSettings):
    """All of an evaluation: what is asked, which model, how answers are drawn, and where the run is kept."""

    model: Annotated[str, Setting("Folder or name of a model: on the hub, of a server, scripted.", ENGINE)] = field()
    backend: Annotated[BackendName, Setting("vllm, openai, hf, ray, scripted or recorded.", ENGINE)] = "vllm"
    min_pixels: Annotated[Count, Setting("Smallest image area, in pixels.", ENGINE)] = 65_536
    max_pixels: Annotated[Count, Setting("Largest image area, in pixels.", ENGINE)] = 262_144
    temperature: Annotated[Amount, Setting("0 is greedy.", SAMPLING)] = 0.0
    top_p: Annotated[Share, Setting("Nucleus mass, from 0 to 1; 1 keeps all tokens.", SAMPLING)] = 1.0
    top_k: Annotated[Natural, Setting("0 keeps all tokens.", SAMPLING)] = 0
    max_tokens: Annotated[Count, Setting("Most new tokens an answer may have.", SAMPLING)] = 4096
    seed: Annotated[int, Setting("Seed of the sampling.", SAMPLING)] = 0
    shard: Annotated[
        str | None, Setting("Ask every N-th episode, from number I; auto: that of a job's task.", ASKED, "I/N")
    ] = None

    @staticmethod
    def taken(given: Layers) -> Layers:
        """What the file of the suite, and the card beside the model's weights, say of settings that are not given."""
        from mgsd_bench.backends.model_card import card_of
        from mgsd_bench.suites.choose import asked_by_suite

        card = card_of(given)
        return asked_by_suite(given.over(card, ())).over(card, ())


@dataclass(frozen=True, kw_only=True)
class DiagnosisSettings(EvaluationSettings):
    """An evaluation to be diagnosed: under all conditions that a diagnosis is made of."""

    model: Annotated[str, Setting("Ask this model first, as `eval` does.", ENGINE)] = field()
    conditions: Conditions = ("visual", "symbolic", "perceive")

    @staticmethod
    def taken(given: Layers) -> Layers:
        """As for an evaluation, but for the conditions, which are those of a diagnosis."""
        return _without(EvaluationSettings.taken(given), "conditions")


@dataclass(frozen=True, kw_only=True)
class PlaySettings(LoopOptions, QuestionSettings):
    """What a person is asked, and the page that it is asked on."""

    name: Annotated[
        Annotated[str, Check(_name_problem)], Setting("What the run calls who answers; nothing else is stored.", ENGINE)
    ] = "human"
    port: Annotated[
        Annotated[int, Bounds(0, 65_535)], Setting("Port of 127.0.0.1 to listen on; 0 takes a free one.", ENGINE)
    ] = 0
    idle: Annotated[Amount, Setting("Stop when no page has been open for so long.", ENGINE, "SECONDS")] = 3600.0

    @staticmethod
    def taken(given: Layers) -> Layers:
        """What the file of the suite says of settings that are not given, but for those of an engine."""
        return ScoreSettings.taken(given)

    def evaluation(self) -> EvaluationSettings:
        """The evaluation that a person takes part in."""
        from mgsd_bench.backends import HUMAN

        asked = {each.name: getattr(self, each.name) for of in (QuestionSettings, LoopOptions) for each in fields(of)}
        return EvaluationSettings(model=self.name, backend=HUMAN, **asked)


@dataclass(frozen=True, kw_only=True)
class ScoreSettings(QuestionSettings):
    """Answers from elsewhere, and the questions that they answer; or a run, which has both."""

    conditions: OneShotConditions = ("visual",)
    answers: Annotated[Path | None, Setting("JSONL with the fields episode and text.", ASKED)] = None
    rescore: Annotated[
        Path | None, Setting("Instead: read the texts of this run anew, into a new run folder.", ASKED)
    ] = None

    @staticmethod
    def taken(given: Layers) -> Layers:
        """What the file of the suite says of settings that are not given, but for those of an engine."""
        from mgsd_bench.suites.choose import asked_by_suite

        return _without(asked_by_suite(given), "max_pixels")


def _without(layers: Layers, name: str) -> Layers:
    return Layers({key: value for key, value in layers.values.items() if key != name}, layers.origins)


def _without_secrets(url: str) -> str:
    return re.sub(r"\?.*", "?***", re.sub(r"//[^/]*@", "//***@", url))


def schema() -> dict[str, Any]:
    """The JSON Schema of files with the settings of an evaluation, for editors."""
    from mgsd_bench.config.editor_schema import editor_schema

    return editor_schema(EvaluationSettings, {}, extends=True)

"""Runs as records of Every Eval Ever: a file with a run's figures, and beside it a line an answer and metric.

The records were checked against version :data:`SCHEMA` of its schemas, ``eval.schema.json`` and
``instance_level_eval.schema.json`` (evaleval/every_eval_ever); docs/export.md says how. They follow from the run alone:
the same run gives the same bytes, names of files included.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

from mgsd_bench.analysis.frame import SampleTable
from mgsd_bench.analysis.groups import group
from mgsd_bench.analysis.metrics import Metric
from mgsd_bench.files import pretty_json, write_whole
from mgsd_bench.integrations.about_run import WITH_SAMPLING, Model, model_of, times_of
from mgsd_bench.integrations.eee_instances import Instances, Linked, metrics_of
from mgsd_bench.integrations.finished import FinishedRun
from mgsd_bench.prompts import CLOSED_LOOP
from mgsd_bench.runs.sample import last_of_each
from mgsd_bench.statistics.intervals import CONFIDENCE, Estimate
from mgsd_envs.files import well_formed
from mgsd_envs.looks import id_without_look

SCHEMA = "0.3.0"
COLLECTION = "mgsd-bench"

_SAMPLING = ("temperature", "top_p", "top_k", "max_tokens")
_NOT_IN_NAMES = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[1-9]|lpt[1-9])(\..*)?|data|\.*")


@dataclass(frozen=True, slots=True)
class Evaluator:
    """What no run knows of itself.

    Attributes:
        organization: who ran it.
        relationship: of them to the model's makers: ``first_party``, ``third_party``, ``collaborative`` or ``other``.
        model: the model's id, ``OWNER/NAME``; as the run says if None.
        dataset: the suite's name on the hub, ``OWNER/NAME``; None where it is not there.
        revision: the commit of that data set.
    """

    organization: str = "unknown"
    relationship: str = "other"
    model: str | None = None
    dataset: str | None = None
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What was written.

    Attributes:
        aggregate: the file with the figures.
        samples: the file with the answers.
        rows: lines of that.
        errors: requests that failed.
    """

    aggregate: Path
    samples: Path
    rows: int
    errors: int


def write_eee(finished: FinishedRun, out: Path, evaluator: Evaluator) -> Written:
    """Write a run as records of Every Eval Ever; of a suite in several looks its first look alone.

    Args:
        finished: the run.
        out: the folder that holds ``data``.
        evaluator: what the run does not know of itself.

    Raises:
        UserError: the run is damaged, or an answer's prompt cannot be made again as it was asked.
        OSError: a file cannot be written.
    """
    record = _Record(finished, evaluator)
    folder = Path("data", COLLECTION, *map(_file_name, record.model.place))
    name = record.uuid
    samples = folder / f"{name}_samples.jsonl"
    (out / folder).mkdir(parents=True, exist_ok=True)
    table = SampleTable(finished.asked, finished.run.origin, brief=True)
    instances = Instances(finished, record.links)
    checksum, rows, errors = sha256(), 0, 0

    def lines() -> Iterator[bytes]:
        nonlocal rows, errors
        for sample in last_of_each(finished.samples()):
            if id_without_look(sample.episode) != sample.episode:
                continue
            table.append(sample)
            errors += sample.error is not None
            for line in instances.lines(sample):
                checksum.update(line)
                rows += 1
                yield line

    write_whole(out / samples, lines())
    details = {
        "format": "jsonl",
        "file_path": samples.as_posix(),
        "hash_algorithm": "sha256",
        "checksum": checksum.hexdigest(),
        "total_rows": rows,
    }
    aggregate = out / folder / f"{name}.json"
    found = {**record.head(errors), **record.results(table), "detailed_evaluation_results": details}
    write_whole(aggregate, pretty_json(found))
    return Written(aggregate, out / samples, rows, errors)


class _Record:
    """All but the answers of a run's record."""

    def __init__(self, finished: FinishedRun, evaluator: Evaluator) -> None:
        run = finished.run
        self._finished, self._run, self._evaluator = finished, run, evaluator
        self.model: Model = model_of(run, evaluator.model)
        self._began, self._ended = times_of(run)
        told = json.dumps([run.identity, self._began.isoformat(), self._ended.isoformat()], sort_keys=True)
        digest = sha256(told.encode()).digest()
        self.uuid = UUID(bytes=digest[:16], version=4)
        suite = str(run.identity["suite"])
        name = f"{COLLECTION}.{suite}/{run.model}/{int(self._began.timestamp())}-{digest.hex()[:12]}"
        self.links = Linked(SCHEMA, well_formed(name), self.model.id, f"mgsd_bench.{suite}")

    def head(self, errors: int) -> dict[str, Any]:
        """Whose figures these are, and where they come from."""
        model, identity = self.model, self._run.identity
        engine = {key: text for key, text in zip(("name", "version"), model.engine, strict=True) if text}
        session = (self._run.record["sessions"] or [{}])[-1]
        versions: dict[str, Any] = session.get("versions", {})
        return {
            "schema_version": SCHEMA,
            "evaluation_id": self.links.evaluation_id,
            "evaluation_timestamp": self._began.isoformat(),
            "retrieved_timestamp": str(int(self._ended.timestamp())),
            "source_metadata": {
                "source_name": COLLECTION,
                "source_type": "evaluation_run",
                "source_organization_name": self._evaluator.organization,
                "evaluator_relationship": self._evaluator.relationship,
            },
            "model_info": {
                "name": model.name,
                "id": model.id,
                "developer": model.owner,
                **({"inference_platform": model.platform} if model.platform else {}),
                **({"inference_engine": engine} if engine else {}),
                "additional_details": {"deployment_type": model.deployment, "model_availability": model.weights},
            },
            "eval_library": {
                "name": "mgsd-bench",
                "version": str(versions.get("mgsd-bench", "unknown")),
                "additional_details": _texts({"scorer": identity["scorer"], "failed_requests": errors}),
            },
        }

    def results(self, table: SampleTable) -> dict[str, Any]:
        """The figures: of every metric a result a task, and the macro average of several."""
        frame = table.frame()
        found = []
        for metric in metrics_of(self._finished.conditions):
            groups = group(frame, metric)
            tasks: list[str | None] = [*groups.tasks]
            places = [*tasks, None] if len(tasks) > 1 else tasks
            found += [self._result(metric, task, groups.at(task).estimate(), len(tasks)) for task in places]
        return {"evaluation_results": found}

    def _result(self, metric: Metric, task: str | None, estimate: Estimate, tasks: int) -> dict[str, Any]:
        average = (
            f"equal-weight mean of {tasks} tasks; answers are linked with the tasks' results"
            if task is None
            else "facts are added up over the task's episodes before the ratio is formed"
            if metric.of_facts
            else "mean of the task's episodes, each with the mean of its repeats"
        )
        return {
            "evaluation_result_id": self.links.result(metric.name, task),
            "evaluation_name": self.links.evaluation(metric.condition, task),
            "source_data": self._source(),
            "evaluation_timestamp": self._began.isoformat(),
            "metric_config": {
                "evaluation_description": f"{metric.about.partition(', %')[0]}; of all questions asked, failed "
                "requests and answers that cannot be read included.",
                "metric_id": f"mgsd_bench.{metric.name}",
                "metric_name": metric.title,
                "metric_kind": "f1" if metric.of_facts else "accuracy",
                "metric_unit": "proportion",
                "lower_is_better": False,
                "score_type": "continuous",
                "min_score": 0.0,
                "max_score": 1.0,
                "additional_details": {"scope": "task" if task else "macro", "average": average},
            },
            "score_details": {
                "score": estimate.value,
                "uncertainty": {
                    "confidence_interval": {
                        "lower": estimate.low,
                        "upper": estimate.high,
                        "confidence_level": CONFIDENCE,
                        "method": "Wilson score, with an effective number of episodes where there are several strata",
                    },
                    "num_samples": estimate.n,
                },
            },
            "generation_config": self._generation(metric, task),
        }

    def _source(self) -> dict[str, Any]:
        """The suite."""
        identity, evaluator = self._run.identity, self._evaluator
        first = next(iter(self._finished.asked.values()))
        details = {
            "digest": identity["digest"],
            "episodes_digest": identity["episodes_digest"],
            "levels": identity.get("levels", []),
            "limit": identity.get("limit"),
            "look": self._run.look,
            "split": first.split,
        }
        name = {"dataset_name": str(identity["suite"])}
        if evaluator.dataset is None:
            return {**name, "source_type": "other", "additional_details": _texts(details)}
        revision = {"hf_revision": evaluator.revision} if evaluator.revision else {}
        return {
            **name,
            "source_type": "hf_dataset",
            "hf_repo": evaluator.dataset,
            "hf_split": first.split,
            "samples_number": len(self._finished.asked),
            "additional_details": _texts({**details, **revision}),
        }

    def _generation(self, metric: Metric, task: str | None) -> dict[str, Any]:
        """How answers were drawn; of answers that no model drew with these settings the prompt alone."""
        identity = self._run.identity
        texts = self._finished.prompts.texts
        prompt = None if task is None else texts.get((task, metric.condition))
        arguments = {} if prompt is None else {"prompt_template": well_formed(prompt)}
        details = {"prompt_set": self._finished.prompt_set, "repeats": identity["repeats"]}
        sampling = identity.get("sampling")
        if identity.get("backend") in WITH_SAMPLING and isinstance(sampling, dict):
            arguments |= {name: sampling[name] for name in _SAMPLING if name in sampling}
            details |= {name: sampling.get(name) for name in ("repetition_penalty", "seed")}
            details["pixels"] = identity.get("pixels")
        if metric.condition in CLOSED_LOOP:
            details["closed_loop"] = identity["loop"]
        return {"generation_args": arguments, "additional_details": _texts(details)}


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Values as texts, which the form wants; those that are None are left out."""
    return {
        name: well_formed(value) if isinstance(value, str) else json.dumps(value, sort_keys=True)
        for name, value in values.items()
        if value is not None
    }


def _file_name(text: str) -> str:
    """A name that a file may have on every system."""
    clean = _NOT_IN_NAMES.sub("_", well_formed(text)).rstrip(". ")[:100]
    return f"_{clean}" if _RESERVED.fullmatch(clean) else clean

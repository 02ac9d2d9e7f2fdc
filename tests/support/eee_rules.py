"""The rules of Every Eval Ever's records, version 0.3.0, as far as ours are made by them, as closed models.

Written from what the form asks for, and stricter than it: nothing may be there that is not named here.
"""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Name = Annotated[str, StringConstraints(min_length=1)]
Digest = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Texts = dict[str, str]
UUID4 = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Source(Closed):
    source_name: Name
    source_type: Literal["documentation", "evaluation_run"]
    source_organization_name: Name
    evaluator_relationship: Literal["first_party", "third_party", "collaborative", "other"]


class Deployment(Closed):
    deployment_type: Literal["self_deployed", "externally_managed", "unknown"]
    model_availability: Literal["open_weights", "closed_weights", "unknown"]


class Engine(Closed):
    name: Name
    version: Name | None = None


class Model(Closed):
    name: Name
    id: Name
    developer: Name
    inference_platform: Name | None = None
    inference_engine: Engine | None = None
    additional_details: Deployment


class Library(Closed):
    name: Name
    version: Name
    additional_details: Texts


class OtherData(Closed):
    dataset_name: Name
    source_type: Literal["other"]
    additional_details: Texts


class HubData(Closed):
    dataset_name: Name
    source_type: Literal["hf_dataset"]
    hf_repo: Name
    hf_split: Literal["train", "val", "test"]
    samples_number: int
    additional_details: Texts


class Metric(Closed):
    evaluation_description: Name
    metric_id: Annotated[str, StringConstraints(pattern=r"^mgsd_bench\.\w+$")]
    metric_name: Name
    metric_kind: Literal["accuracy", "f1"]
    metric_unit: Literal["proportion"]
    lower_is_better: Literal[False]
    score_type: Literal["continuous"]
    min_score: float
    max_score: float
    additional_details: Texts


class Interval(Closed):
    lower: Share
    upper: Share
    confidence_level: Share
    method: Name


class Uncertainty(Closed):
    confidence_interval: Interval
    num_samples: Annotated[int, Field(ge=1)]


class Score(Closed):
    score: Share
    uncertainty: Uncertainty


class Arguments(Closed):
    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    prompt_template: Name | None = None


class Generation(Closed):
    generation_args: Arguments
    additional_details: Texts


class Result(Closed):
    evaluation_result_id: Name
    evaluation_name: Name
    source_data: OtherData | HubData
    evaluation_timestamp: Name
    metric_config: Metric
    score_details: Score
    generation_config: Generation

    @model_validator(mode="after")
    def _in_bounds(self) -> Self:
        interval, score = self.score_details.uncertainty.confidence_interval, self.score_details.score
        assert self.metric_config.min_score <= interval.lower <= score <= interval.upper <= self.metric_config.max_score
        return self


class Details(Closed):
    format: Literal["jsonl"]
    file_path: Annotated[str, StringConstraints(pattern=f"^data/[^/]+/[^/]+/[^/]+/{UUID4}_samples\\.jsonl$")]
    hash_algorithm: Literal["sha256"]
    checksum: Digest
    total_rows: Annotated[int, Field(ge=1)]


class Aggregate(Closed):
    schema_version: Literal["0.3.0"]
    evaluation_id: Name
    evaluation_timestamp: Name
    retrieved_timestamp: Annotated[str, StringConstraints(pattern="^[0-9]+$")]
    source_metadata: Source
    model_info: Model
    eval_library: Library
    evaluation_results: Annotated[list[Result], Field(min_length=1)]
    detailed_evaluation_results: Details


class Input(Closed):
    raw: str
    reference: list[str]


class Output(Closed):
    raw: list[str]


class Message(Closed):
    turn_idx: Annotated[int, Field(ge=0)]
    role: Literal["user", "assistant"]
    content: str


class Attribution(Closed):
    turn_idx: Annotated[int, Field(ge=0)]
    source: Name
    extracted_value: str
    extraction_method: Name
    is_terminal: bool


class Evaluated(Closed):
    score: Share
    is_correct: bool
    num_turns: Annotated[int, Field(ge=1)] | None = None


class Tokens(Closed):
    input_tokens: int
    output_tokens: int
    total_tokens: int


class Performance(Closed):
    latency_ms: Annotated[float, Field(ge=0)]


class Instance(Closed):
    schema_version: Literal["0.3.0"]
    evaluation_id: Name
    model_id: Name
    evaluation_name: Name
    evaluation_result_id: Name
    sample_id: Name
    sample_hash: Digest | None = None
    interaction_type: Literal["single_turn", "multi_turn"]
    input: Input
    output: Output | None
    messages: list[Message] | None = None
    answer_attribution: list[Attribution]
    evaluation: Evaluated
    token_usage: Tokens | None = None
    performance: Performance | None = None
    error: str | None = None
    metadata: Texts

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        single = self.interaction_type == "single_turn"
        assert (self.output is not None, self.messages is not None) == (single, not single)
        return self


def read(root: Path) -> tuple[Aggregate, list[Instance]]:
    """The one record below a folder, which keeps the rules that hold between its two files."""
    (path,) = root.glob("data/*/*/*/*.json")
    assert re.fullmatch(UUID4, path.stem)
    found = Aggregate.model_validate_json(path.read_bytes())
    details = found.detailed_evaluation_results
    assert details.file_path == path.with_name(f"{path.stem}_samples.jsonl").relative_to(root).as_posix()
    lines = (root / details.file_path).read_bytes()
    assert sha256(lines).hexdigest() == details.checksum
    instances = [Instance.model_validate_json(line) for line in lines.splitlines()]
    assert len(instances) == details.total_rows
    ids = {result.evaluation_result_id: result.evaluation_name for result in found.evaluation_results}
    assert len(ids) == len(found.evaluation_results)
    for each in instances:
        assert (each.evaluation_id, each.model_id) == (found.evaluation_id, found.model_info.id)
        assert ids[each.evaluation_result_id] == each.evaluation_name
    return found, instances

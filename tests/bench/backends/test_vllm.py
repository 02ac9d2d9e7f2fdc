"""The vLLM backend on a tiny random checkpoint."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from mgsd_bench.backends import (
    BackendConfig,
    EngineError,
    Request,
    Response,
    Sampling,
    Turn,
    generate,
    open_backend,
    single_turn,
)
from mgsd_bench.backends.checkpoints import fingerprint
from mgsd_bench.backends.vllm import VllmBackend
from mgsd_bench.errors import Exit, UserError
from support.engines import MAX_MODEL_LEN, MAX_NUM_SEQS, MAX_TOKENS, SharedEngine

if find_spec("vllm") is None:
    pytest.skip("vllm is not installed", allow_module_level=True)
pytestmark = pytest.mark.engine

WINDOW = 2 * MAX_NUM_SEQS


@pytest.fixture
def backend(shared_engine: SharedEngine) -> VllmBackend:
    return shared_engine.backend()


def ask(key: str, text: str = "Where is the elf?", image: int | None = 0, size: int = 256) -> Request:
    """A question; ``image`` seeds the noise that it is about."""

    def draw() -> Any:
        return np.random.default_rng(image).integers(0, 256, (size, size, 3), dtype=np.uint8)

    return single_turn(key, text, None if image is None else draw, 7, "visual", cast(Any, None))


def answers(backend: VllmBackend, *requests: Request) -> dict[str, Response]:
    got = list(generate(backend, requests))
    assert len({response.key for response in got}) == len(got)
    return {response.key: response for response in got}


def test_describe(backend: VllmBackend, tiny: Path) -> None:
    facts = backend.describe()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["engine"] == "vllm"
    assert facts["model"] == str(tiny)
    assert facts["architecture"] == "Qwen3VLForConditionalGeneration"
    assert facts["max_model_len"] == 1024
    assert facts["fingerprint"] == fingerprint(tiny)
    assert facts["hardware"]["device"]


def test_every_request_is_answered_to_the_last_token(backend: VllmBackend) -> None:
    got = answers(backend, *(ask(str(i), image=i) for i in range(3 * WINDOW)))
    assert set(got) == {str(i) for i in range(3 * WINDOW)}
    lengths = [r.completion_tokens for r in got.values() if r.finish_reason == "length"]
    assert lengths
    assert set(lengths) == {MAX_TOKENS}
    for response in got.values():
        assert response.error is None
        assert response.seconds is not None
        assert response.seconds > 0


def test_answers_stream_and_requests_are_drawn_as_needed(backend: VllmBackend) -> None:
    drawn = 0

    def requests() -> Iterator[Request]:
        nonlocal drawn
        for i in range(5 * WINDOW):
            drawn += 1
            yield ask(str(i), image=i)

    stream = generate(backend, requests())
    next(stream)
    assert drawn == WINDOW
    assert sum(1 for _ in stream) == 5 * WINDOW - 1
    assert drawn == 5 * WINDOW


def test_closing_the_stream_leaves_the_engine_ready(backend: VllmBackend) -> None:
    stream = generate(backend, (ask(str(i), image=i) for i in range(3 * WINDOW)))
    next(stream)
    cast(Any, stream).close()
    assert not backend.llm.llm_engine.has_unfinished_requests()
    assert answers(backend, ask("next"))["next"].error is None


def test_prompt_is_the_text_and_then_64_tokens_of_image(backend: VllmBackend) -> None:
    text = "Where is the elf?"
    got = answers(backend, ask("image", text), ask("text", text, image=None))
    with_image, without = got["image"].prompt_tokens, got["text"].prompt_tokens
    assert with_image is not None
    # <|im_start|>user\n ... <|im_end|>\n <|im_start|>assistant\n, one token a character
    assert without == 1 + len("user\n") + len(text) + 2 + 1 + len("assistant\n")
    assert with_image - without == 64 + 2  # with <|vision_start|> and <|vision_end|>


def test_a_larger_image_is_scaled_down_to_the_limit(backend: VllmBackend) -> None:
    got = answers(backend, ask("small", size=64), ask("large", size=512), ask("huge", size=1024))
    small, large, huge = (got[key].prompt_tokens or 0 for key in ("small", "large", "huge"))
    assert large - small == 256 - 64
    assert huge == large


def test_greedy_answers_repeat(backend: VllmBackend) -> None:
    first = answers(backend, *(ask(str(i), image=i) for i in range(WINDOW)))
    again = answers(backend, *(ask(str(i), image=i) for i in range(WINDOW)))
    assert {k: r.text for k, r in first.items()} == {k: r.text for k, r in again.items()}


def test_greedy_answers_are_those_of_transformers(shared_engine: SharedEngine, tiny: Path) -> None:
    sampling = Sampling(max_tokens=8)
    asked = [ask(str(i), "Where? " * (1 + i), image=i if i % 3 else None) for i in range(8)]
    limits = {"batch_size": 4, "max_model_len": MAX_MODEL_LEN}
    with open_backend("hf", BackendConfig(str(tiny), sampling, engine_args=limits)) as hf:
        expected = {response.key: replace(response, seconds=None) for response in generate(hf, asked)}
    found = answers(shared_engine.sampling(sampling), *asked)
    assert {key: replace(response, seconds=None) for key, response in found.items()} == expected


def test_greedy_answers_in_a_conversation_are_those_of_transformers(shared_engine: SharedEngine, tiny: Path) -> None:
    sampling = Sampling(max_tokens=8)
    pictures = [ask("", image=i).turns[0].image for i in range(4)]
    asked = [
        Request(
            f"{count}/{i}",
            (
                *(
                    turn
                    for k in range(count)
                    for turn in (Turn("user", f"{i}, {k}?", pictures[k]), Turn("assistant", "R"))
                ),
                Turn("user", "Where now?", None if i == 3 else pictures[i]),
            ),
            7,
            "act",
            cast(Any, None),
        )
        for count in range(3)
        for i in range(4)
    ]
    limits = {"batch_size": 4, "max_model_len": MAX_MODEL_LEN}
    with open_backend("hf", BackendConfig(str(tiny), sampling, engine_args=limits)) as hf:
        expected = {response.key: replace(response, seconds=None) for response in generate(hf, asked)}
    found = answers(shared_engine.sampling(sampling), *asked)
    assert {key: replace(response, seconds=None) for key, response in found.items()} == expected
    assert len({(response.prompt_tokens, response.text) for response in found.values()}) > 3


def test_the_picture_matters(backend: VllmBackend) -> None:
    got = answers(backend, *(ask(str(i), image=i) for i in range(6)))
    assert len({response.text for response in got.values()}) > 1


def test_a_refused_request_fails_alone(backend: VllmBackend) -> None:
    def broken() -> Any:
        raise OSError("no such picture")

    got = answers(
        backend,
        ask("before"),
        ask("text too long", "x" * 2000, image=1),
        ask("too long with its image", "x" * 990, image=2),
        single_turn("no image", "?", broken, 0, "visual", cast(Any, None)),
        ask("same image", image=2),
    )
    assert {key for key, response in got.items() if response.error} == {
        "text too long",
        "too long with its image",
        "no image",
    }
    assert got["no image"] == Response("no image", "", "error", error="no such picture")
    assert "1024" in (got["text too long"].error or "")
    assert "1024" in (got["too long with its image"].error or "")


def test_a_failing_engine_is_an_engine_error(backend: VllmBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> list[Any]:
        raise RuntimeError("illegal memory access")

    with monkeypatch.context() as patch:
        patch.setattr(backend.llm.llm_engine, "step", fail)
        with pytest.raises(EngineError, match="illegal memory access"):
            list(generate(backend, [ask("lost")]))
    assert answers(backend, ask("next"))["next"].error is None


def test_sampling_is_explicit(backend: VllmBackend) -> None:
    params = backend.sampling_params(5)
    assert (params.temperature, params.top_p, params.top_k, params.repetition_penalty) == (0.0, 1.0, 0, 1.0)
    assert (params.max_tokens, params.seed, params.skip_special_tokens) == (MAX_TOKENS, 5, True)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("/no/such/folder", "no such folder"),
        ("nowhere", "nor the name of a model"),
        ("{empty}", "no config.json"),
        ("{folder}/config.json", "this is a file"),
        ("nobody/nothing", "not on the hub"),
    ],
)
def test_missing_model(model: str, message: str, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    name = model.format(empty=tmp_path, folder=tiny)
    with pytest.raises(UserError, match=message) as caught:
        open_backend("vllm", BackendConfig(name))
    assert caught.value.code == Exit.USAGE
    assert f"model={name}" in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_num_seq": 4}, r"engine\['max_num_seq'\]=.*did you mean max_num_seqs"),
        ({"seed": 1}, r"engine\['seed'\]=.*use seed"),
        ({"dtype": "float7"}, r"engine\['dtype'\]=float7: Input should be"),
        ({"max_model_len": 10_000_000}, r"engine\['max_model_len'\]=10000000: .*greater than"),
    ],
)
def test_refused_engine_argument(arguments: dict[str, Any], message: str, tiny: Path) -> None:
    with pytest.raises(UserError, match=message) as caught:
        open_backend("vllm", BackendConfig(str(tiny), engine_args=arguments))
    assert caught.value.code == Exit.USAGE


def test_language_model_is_refused(tiny: Path, tmp_path: Path) -> None:
    from transformers import Qwen2Config

    shape = {"hidden_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1, "num_hidden_layers": 1}
    Qwen2Config(**shape, vocab_size=320, architectures=["Qwen2ForCausalLM"]).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="Qwen2ForCausalLM takes no images"):
        open_backend("vllm", BackendConfig(str(tmp_path)))


def test_checkpoint_code_needs_a_flag(tiny: Path, tmp_path: Path) -> None:
    config = json.loads((tiny / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "configuration_own.OwnConfig"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="pass trust_remote_code=True"):
        open_backend("vllm", BackendConfig(str(tmp_path)))


def test_fingerprint_sees_weights_and_settings(tiny: Path, tmp_path: Path) -> None:
    weights, settings = tmp_path / "model.safetensors", tmp_path / "config.json"
    content = bytearray(np.random.default_rng(0).bytes(20_000_000))
    settings.write_text("{}")
    weights.write_bytes(content)
    seen = {fingerprint(tmp_path), fingerprint(tmp_path)}
    assert len(seen) == 1
    content[-1] ^= 1
    weights.write_bytes(content)
    seen.add(fingerprint(tmp_path))
    settings.write_text('{"a": 1}')
    seen.add(fingerprint(tmp_path))
    assert len(seen) == 3

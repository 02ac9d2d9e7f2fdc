"""The transformers backend on a tiny random checkpoint."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
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
    generate,
    open_backend,
    single_turn,
)
from mgsd_bench.backends.checkpoints import fingerprint
from mgsd_bench.backends.hf import TransformersBackend
from mgsd_bench.errors import Exit, UserError

if find_spec("transformers") is None:
    pytest.skip("transformers is not installed", allow_module_level=True)
pytestmark = pytest.mark.train
MAX_TOKENS = 8
BATCH = 4
QUESTION = "Where is the elf?"


@pytest.fixture(scope="module")
def backend(tiny: Path) -> Iterator[TransformersBackend]:
    config = BackendConfig(
        str(tiny), Sampling(max_tokens=MAX_TOKENS), engine_args={"batch_size": BATCH, "max_model_len": 1024}
    )
    with open_backend("hf", config) as opened:
        yield cast(TransformersBackend, opened)


@pytest.fixture
def around(backend: TransformersBackend) -> Callable[..., TransformersBackend]:
    """Another backend around the same model."""

    def build(sampling: Sampling | None = None, **settings: Any) -> TransformersBackend:
        sampling = sampling or Sampling(max_tokens=MAX_TOKENS)
        return TransformersBackend(backend._model, backend._processor, sampling, **settings)

    return build


def ask(key: str, text: str = QUESTION, image: int | None = 0, size: int = 256, seed: int = 7) -> Request:
    """A question; ``image`` seeds the noise that it is about."""

    def draw() -> Any:
        return np.random.default_rng(image).integers(0, 256, (size, size, 3), dtype=np.uint8)

    return single_turn(key, text, None if image is None else draw, seed, "visual", cast(Any, None))


def answers(backend: TransformersBackend, *requests: Request) -> dict[str, Response]:
    got = list(generate(backend, requests))
    assert len({response.key for response in got}) == len(got)
    return {response.key: response for response in got}


def texts(backend: TransformersBackend, *requests: Request) -> dict[str, str]:
    return {key: response.text for key, response in answers(backend, *requests).items()}


def test_describe(backend: TransformersBackend, tiny: Path) -> None:
    facts = backend.describe()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["engine"] == "transformers"
    assert facts["model"] == str(tiny)
    assert facts["architecture"] == "Qwen3VLForConditionalGeneration"
    assert (facts["dtype"], facts["attention"], facts["max_model_len"]) == ("float32", "sdpa", 1024)
    assert facts["fingerprint"] == fingerprint(tiny)
    assert facts["hardware"]["device"]


def test_greedy_is_the_plain_loop(backend: TransformersBackend) -> None:
    """Against a loop without cache, batch or padding, on inputs built by the chat template alone."""
    import torch
    from PIL import Image

    model, processor = backend._model, backend._processor
    for i in range(2):
        request = ask(str(i), image=i)
        (draw,) = request.images
        picture = {"type": "image", "image": Image.fromarray(draw())}
        chat = [{"role": "user", "content": [{"type": "text", "text": QUESTION}, picture]}]
        inputs = processor.apply_chat_template(
            chat, tokenize=True, return_dict=True, return_tensors="pt", add_generation_prompt=True
        )
        length = inputs["input_ids"].shape[1]
        ends = {processor.tokenizer.convert_tokens_to_ids(token) for token in ("<|im_end|>", "<|endoftext|>")}
        new: list[int] = []
        while len(new) < MAX_TOKENS and not (new and new[-1] in ends):
            with torch.no_grad():
                token = model(**inputs).logits[:, -1].argmax(-1, keepdim=True)
            new.append(int(token))
            inputs["input_ids"] = torch.cat([inputs["input_ids"], token], 1)
            for name, value in (("attention_mask", 1), ("mm_token_type_ids", 0)):
                inputs[name] = torch.cat([inputs[name], torch.full_like(token, value)], 1)
        got = answers(backend, request)[str(i)]
        assert got.text == processor.tokenizer.decode(new, skip_special_tokens=True).rstrip("\ufffd")
        assert (got.prompt_tokens, got.completion_tokens) == (length, len(new))
        assert got.finish_reason == ("stop" if new[-1] in ends else "length")


def test_keys_come_back_in_order(backend: TransformersBackend) -> None:
    names = [str(i) for i in range(2 * BATCH + 1)]
    got = list(generate(backend, (ask(name, image=i) for i, name in enumerate(names))))
    assert [response.key for response in got] == names
    assert all(response.seconds and response.seconds > 0 for response in got)


def test_batches_are_drawn_as_needed(backend: TransformersBackend) -> None:
    drawn = 0

    def requests() -> Iterator[Request]:
        nonlocal drawn
        for i in range(3 * BATCH):
            drawn += 1
            yield ask(str(i), image=i)

    stream = generate(backend, requests())
    next(stream)
    assert drawn == BATCH
    cast(Any, stream).close()
    assert answers(backend, ask("next"))["next"].error is None


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_batches_do_not_change_answers(around: Callable[..., TransformersBackend], temperature: float) -> None:
    """Prompts of several lengths, with and without an image."""
    sampling = Sampling(temperature=temperature, top_p=0.95, max_tokens=MAX_TOKENS)
    asked = [ask(str(i), "Where? " * (1 + i % 3), image=i if i % 4 else None, seed=i) for i in range(7)]
    alone = texts(around(sampling, batch_size=1), *asked)
    assert texts(around(sampling, batch_size=7), *asked) == alone
    assert texts(around(sampling, batch_size=3), *reversed(asked)) == alone


def test_seeds_decide_samples(around: Callable[..., TransformersBackend]) -> None:
    backend = around(Sampling(temperature=1.0, max_tokens=MAX_TOKENS))
    got = texts(backend, *(ask(str(i), seed=i % 8) for i in range(16)))
    assert len(set(got.values())) == 8
    assert all(got[str(i)] == got[str(i + 8)] for i in range(8))


def test_sampling_follows_the_models_distribution(around: Callable[..., TransformersBackend]) -> None:
    import torch

    count = 600
    backend = around(Sampling(temperature=0.7, max_tokens=1), batch_size=count)
    inputs = backend._inputs([backend._chat(ask("", image=None))], [[]])
    with torch.no_grad():
        chances = (backend._model(**inputs).logits[0, -1] / 0.7).softmax(-1).tolist()
    expected: Counter[str] = Counter()  # several tokens are no text by themselves
    for token, chance in enumerate(chances):
        expected[backend._tokenizer.decode([token], skip_special_tokens=True).rstrip("\ufffd")] += chance
    got = Counter(
        response.text for response in generate(backend, (ask(str(i), image=None, seed=i) for i in range(count)))
    )
    for text, chance in expected.most_common(5):
        assert abs(got[text] / count - chance) < 4 * (chance * (1 - chance) / count) ** 0.5


def test_repetition_penalty_does_not_see_padding(around: Callable[..., TransformersBackend]) -> None:
    sampling = Sampling(repetition_penalty=1.3, max_tokens=MAX_TOKENS)
    asked = [ask(str(i), "Where? " * (1 + 3 * i), image=i) for i in range(3)]
    alone = texts(around(sampling, batch_size=1), *asked)
    assert texts(around(sampling, batch_size=3), *asked) == alone
    assert alone != texts(around(), *asked)


def test_the_picture_matters(backend: TransformersBackend) -> None:
    assert len(set(texts(backend, *(ask(str(i), image=i) for i in range(6))).values())) > 1


def test_pixel_limits(backend: TransformersBackend) -> None:
    got = answers(backend, ask("small", size=64), ask("large", size=512), ask("huge", size=2048))
    small, large, huge = (got[key].prompt_tokens or 0 for key in ("small", "large", "huge"))
    assert large - small == 256 - 64
    assert huge == large


def test_a_refused_request_fails_alone(backend: TransformersBackend) -> None:
    def broken() -> Any:
        raise OSError("no such picture")

    got = answers(
        backend,
        ask("before"),
        single_turn("no image", "?", broken, 0, "visual", cast(Any, None)),
        ask("text too long", "x" * 2000, image=1),
        ask("after"),
        ask("a picture's token in the text", "<|image_pad|>", image=None),
        ask("last", image=2),
    )
    assert list(got) == ["before", "no image", "text too long", "after", "a picture's token in the text", "last"]
    assert got["no image"] == Response("no image", "", "error", error="no such picture")
    assert "1024" in (got["text too long"].error or "")
    for key in ("before", "after", "last"):
        assert got[key].error is None
    assert got["before"].text == got["after"].text


def test_a_dead_accelerator_is_an_engine_error(backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    class DeadError(RuntimeError):
        pass

    def fail(*_: Any) -> list[Response]:
        raise DeadError("an illegal memory access was encountered")

    monkeypatch.setattr(torch, "AcceleratorError", DeadError)
    with monkeypatch.context() as patch:
        patch.setattr(backend, "_ask", fail)
        with pytest.raises(EngineError, match="illegal memory access"):
            list(generate(backend, [ask("lost")]))
    assert answers(backend, ask("next"))["next"].error is None


def test_memory_that_does_not_suffice_for_a_batch(
    backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    asked = [ask(str(i), image=i) for i in range(BATCH)]
    expected = texts(backend, *asked)
    whole = backend._ask

    def scarce(batch: Any, begin: float) -> list[Response]:
        if len(batch) > 1:
            raise torch.OutOfMemoryError("tried to allocate too much")
        return whole(batch, begin)

    monkeypatch.setattr(backend, "_ask", scarce)
    assert texts(backend, *asked) == expected


def test_answers_end_with_the_context_window(around: Callable[..., TransformersBackend]) -> None:
    free = answers(around(), ask("free"))["free"]
    assert free.finish_reason == "length"
    assert free.completion_tokens == MAX_TOKENS
    narrow = around(max_model_len=(free.prompt_tokens or 0) + 3)
    got = answers(narrow, ask("narrow"), ask("short", "?", image=None))
    assert got["narrow"].finish_reason == "length"
    assert got["narrow"].completion_tokens == 3
    assert free.text.startswith(got["narrow"].text)
    assert got["short"].completion_tokens == MAX_TOKENS


def test_an_end_token_stops_an_answer(around: Callable[..., TransformersBackend]) -> None:
    backend = around()
    (row,) = backend._decode(backend._inputs([backend._chat(ask("", image=None))], [[]]), MAX_TOKENS, [0])
    backend._ends = frozenset({row[2]})
    first = row.index(row[2]) + 1
    got = answers(backend, ask("stopped", image=None))["stopped"]
    assert (got.finish_reason, got.completion_tokens) == ("stop", first)


def test_a_model_in_training_is_left_as_it_was(around: Callable[..., TransformersBackend]) -> None:
    import torch

    backend = around(Sampling(temperature=1.0, max_tokens=3))
    model = backend._model
    model.train()
    model.model.visual.eval()
    modes = [module.training for module in model.modules()]
    model.generation_config.no_repeat_ngram_size = 2
    settings, offsets, state = model.generation_config, model.model.rope_deltas, torch.get_rng_state()
    try:
        assert not answers(backend, ask("a"), ask("b", image=1))["a"].error
        assert [module.training for module in model.modules()] == modes
        assert torch.equal(torch.get_rng_state(), state)
        assert model.generation_config is settings
        assert model.model.rope_deltas is offsets
        assert all(parameter.grad is None for parameter in model.parameters())
    finally:
        settings.no_repeat_ngram_size = None
        model.eval()


def test_an_adapter_speaks(backend: TransformersBackend, tiny: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(tiny, dtype=torch.float32)
    adapted = get_peft_model(model, LoraConfig(r=4, target_modules=r".*language_model.*\.q_proj"))
    live = TransformersBackend(adapted, backend._processor, Sampling(max_tokens=MAX_TOKENS))
    plain = texts(backend, ask("a"))
    assert texts(live, ask("a")) == plain
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=5.0)
    assert texts(live, ask("a")) != plain
    with adapted.disable_adapter():
        assert texts(live, ask("a")) == plain


def test_close_to_the_other_dtypes(tiny: Path) -> None:
    arguments = {"dtype": "bfloat16", "device": "cpu", "attn_implementation": "eager", "batch_size": 2}
    with open_backend("hf", BackendConfig(str(tiny), Sampling(max_tokens=2), engine_args=arguments)) as backend:
        facts = backend.describe()
        assert (facts["dtype"], facts["attention"], facts["batch_size"]) == ("bfloat16", "eager", 2)
        assert all(response.error is None for response in generate(backend, [ask("a"), ask("b")]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_sise": 4}, r"engine\['batch_sise'\]=.*did you mean batch_size"),
        ({"seed": 1}, r"engine\['seed'\]=.*use seed"),
        ({"dtype": "float7"}, r"engine\['dtype'\]=float7: choose from"),
        ({"batch_size": 0}, r"engine\['batch_size'\]=0: must be"),
        ({"device": "abacus"}, r"engine\['device'\]=abacus: "),
        ({"attn_implementation": "abacus"}, r"engine\['attn_implementation'\]=abacus: "),
    ],
)
def test_refused_argument(arguments: dict[str, Any], message: str, tiny: Path) -> None:
    with pytest.raises(UserError, match=message) as caught:
        open_backend("hf", BackendConfig(str(tiny), engine_args=arguments))
    assert caught.value.code == Exit.USAGE


def test_language_model_is_refused(tiny: Path, tmp_path: Path) -> None:
    from transformers import Qwen2Config

    shape = {"hidden_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1, "num_hidden_layers": 1}
    Qwen2Config(**shape, vocab_size=320, architectures=["Qwen2ForCausalLM"]).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="Qwen2ForCausalLM takes no images"):
        open_backend("hf", BackendConfig(str(tmp_path)))


def test_missing_model(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no config\.json"):
        open_backend("hf", BackendConfig(str(tmp_path)))


def test_checkpoint_code_needs_a_flag(tiny: Path, tmp_path: Path) -> None:
    config = json.loads((tiny / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "configuration_own.OwnConfig"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="pass trust_remote_code=True"):
        open_backend("hf", BackendConfig(str(tmp_path)))


def test_half_a_checkpoint_is_one_line(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((tiny / "config.json").read_text())
    with pytest.raises(UserError, match="cannot load it") as caught:
        open_backend("hf", replace(BackendConfig("x"), model=str(tmp_path)))
    assert caught.value.code == Exit.ENGINE

"""A process that imports this first finds no vLLM, which TRL would otherwise import, for many seconds."""

import sys

sys.modules["vllm"] = None  # type: ignore[assignment]

"""mgsd-bench: benchmark and diagnostics for visual spatial planning with vision-language models."""

from importlib.metadata import version

__version__ = version("mgsd-bench")

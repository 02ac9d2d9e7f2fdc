"""Before anything here imports transformers, TRL or vLLM: broken builds of torchvision are made harmless."""

from mgsd_bench.backends.torchvision_compat import patch_torchvision

patch_torchvision()

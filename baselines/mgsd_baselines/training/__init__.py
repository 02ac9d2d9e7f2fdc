"""The stages of a recipe: supervised fine-tuning, self-distillation and GRPO, on trainers of TRL."""

from mgsd_bench.backends.torchvision_compat import patch_torchvision
from mgsd_bench.backends.vllm_log import keep_quiet

patch_torchvision()  # before any module of this package imports transformers, peft or TRL
keep_quiet()  # TRL imports vLLM where it is installed

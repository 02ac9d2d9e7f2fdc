"""The stages of a recipe: supervised fine-tuning, self-distillation and GRPO, on trainers of TRL."""

from mgsd_bench.backends.torchvision_compat import patch_torchvision

patch_torchvision()  # before any module of this package imports transformers, peft or TRL

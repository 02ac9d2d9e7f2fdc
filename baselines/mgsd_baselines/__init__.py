"""Baselines of mgsd-bench: builders and training recipes of the models that the benchmark is shown on."""

import os
import warnings

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # TRL would report every training
warnings.filterwarnings("ignore", message="TRL currently supports vLLM")  # which engine to use is the user's choice

"""Baselines of mgsd-bench: builders and training recipes of the models that the benchmark is shown on."""

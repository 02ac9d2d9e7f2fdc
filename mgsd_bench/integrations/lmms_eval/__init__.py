"""Tasks for lmms-eval: a folder for its ``--include_path``, which ``mgsd-bench path lmms-eval`` prints."""

"""What trains needs the extra ``train``."""

from importlib.util import find_spec

if find_spec("trl") is None:
    collect_ignore_glob = ["*"]

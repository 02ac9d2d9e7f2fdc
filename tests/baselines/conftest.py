"""What trains needs the extra ``train``; before it is imported, broken builds of torchvision are made harmless."""

from importlib.util import find_spec

from mgsd_bench.backends.torchvision_compat import patch_torchvision

if find_spec("trl") is None:
    collect_ignore_glob = ["*"]
else:
    patch_torchvision()

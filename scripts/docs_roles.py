"""Docstrings as Markdown: a griffe extension that mkdocstrings loads (``mkdocs.yml``).

Docstrings name other objects by Sphinx roles, and end the line before code with two colons. In Markdown the first are
code, and the second is one colon.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":\w+:`~?([^`<]+)`")


class Roles(griffe.Extension):
    """Changes every docstring when it is read."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of one object."""
        if obj.docstring:
            text = ROLE.sub(lambda match: f"`{match[1].removeprefix('mgsd_bench.')}`", obj.docstring.value)
            obj.docstring.value = re.sub(r"::$", ":", text, flags=re.MULTILINE)

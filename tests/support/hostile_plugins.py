"""Installed tasks that are broken or mean harm; each command runs in a process of its own, which alone sees them.

A plugin is code that its user has installed, so it can do whatever it likes: what is tried here is that a broken one
is named in one line and hurts no other task's commands.
"""

from __future__ import annotations

from collections.abc import Callable

from support.hostile_files import EVAL, Box, add

PLUGINS = {
    "raises": "raise RuntimeError('no \\x1b[31mtask\\u202e today')\n",
    "lacks a module": "import there_is_no_such_module\n",
    "is no Python": "def (:\n",
    "leaves": "import sys\nsys.exit(3)\n",
    "lacks the task": "x = 1\n",
    "has a number for a task": "Own = 7\n",
    "has a task that raises": "class Own:\n    def __init__(self):\n        raise ValueError('no')\n",
    "has a task without anything": "class Own:\n    pass\n",
    "raises without end": "def f():\n    f()\nf()\n",
}


def _plugin(source: str, name: str, *words: str) -> Callable[[Box], list[str]]:
    def prepare(box: Box) -> list[str]:
        box.file("site/own_task.py", source)
        box.file("site/own_task-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: own-task\nVersion: 1.0\n")
        box.file("site/own_task-1.0.dist-info/entry_points.txt", f"[mgsd_envs.tasks]\n{name} = own_task:Own\n")
        return list(words)

    return prepare


def _on_the_path(box: Box) -> dict[str, str]:
    return {"PYTHONPATH": str(box.folder / "site")}


for _what, _source in PLUGINS.items():
    add("plugin", f"a task that {_what}, eval", _plugin(_source, "own", *EVAL, "--out", "new"), 0, "", _on_the_path)
add("plugin", "a task that raises, tasks", _plugin(PLUGINS["raises"], "own", "tasks"), 0, "own", _on_the_path)
add("plugin", "a task of a name that is there", _plugin(PLUGINS["raises"], "maze", *EVAL, "--out", "new"), 0, "",
    _on_the_path)  # fmt: skip

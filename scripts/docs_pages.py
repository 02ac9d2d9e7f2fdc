"""Lay out the pages of the documentation site, so that no link of it leads out: ``docs`` and what ``docs`` links to.

``python scripts/docs_pages.py build/pages`` copies ``docs``. Whatever its pages link to outside of ``docs`` follows
under ``project``: Markdown as it is, code as a page that shows it, a folder as a page of its files, all else as a file.
Links are changed to where their targets now are.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LANGUAGES = {".py": "python", ".yml": "yaml", ".yaml": "yaml", ".sh": "bash", ".slurm": "bash", ".toml": "toml"}
LINK = re.compile(r"(\]\(|^\[[\w-]+\]: )([^)#\s]+)", re.MULTILINE)
FENCE = re.compile(r"^(?P<fence>`{3,}).*?^(?P=fence)$", re.MULTILINE | re.DOTALL)


def lay_out(root: Path, out: Path) -> list[Path]:
    """Write all pages and files into a folder, which is emptied first.

    Args:
        root: the project; its ``docs`` is where the pages are.
        out: the folder.

    Returns:
        The written files, relative to ``out``.

    Raises:
        FileNotFoundError: a link leads nowhere; with page and target.
    """
    shutil.rmtree(out, ignore_errors=True)
    waiting = sorted(path for path in (root / "docs").rglob("*") if path.is_file())
    done: dict[Path, Path] = {}
    while waiting:
        source = waiting.pop()
        if source in done:
            continue
        done[source] = place(root, source)
        target = out / done[source]
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".md":
            text, found = relink(root, source)
            target.write_text(text, encoding="utf-8")
            waiting += found
        elif source.is_dir() or source.suffix in LANGUAGES:
            target.write_text(shown(root, source), encoding="utf-8")
        else:
            shutil.copyfile(source, target)
    return sorted(done.values())


def place(root: Path, source: Path) -> Path:
    """Where a file or folder of the project stands on the site, relative to its top."""
    inside = source.relative_to(root)
    if inside.parts[0] == "docs":
        return Path(*inside.parts[1:])
    # names with a dot in front are not published, and README would be the index of its folder
    parts = [part.lstrip(".").replace("README", "about") for part in inside.parts]
    is_page = source.is_dir() or source.suffix in LANGUAGES
    return Path("project", *parts[:-1], parts[-1] + (".md" if is_page else ""))


def relink(root: Path, source: Path) -> tuple[str, list[Path]]:
    """The text of a page with links that fit its place, and what it links to."""
    text, found, parts, last = source.read_text(encoding="utf-8"), [], [], 0

    def change(match: re.Match[str]) -> str:
        before, target = match.groups()
        if "://" in target or target.startswith("mailto:"):
            return match[0]
        path = Path(os.path.normpath(source.parent / target))
        if not path.exists():
            raise FileNotFoundError(f"{source.relative_to(root)}: {target} leads nowhere")
        found.append(path)
        return before + Path(os.path.relpath(place(root, path), place(root, source).parent)).as_posix()

    for fence in FENCE.finditer(text):
        parts += [LINK.sub(change, text[last : fence.start()]), fence[0]]
        last = fence.end()
    return "".join([*parts, LINK.sub(change, text[last:])]), found


def shown(root: Path, source: Path) -> str:
    """A page that shows a file of code, or every file of a folder."""
    name = source.relative_to(root).as_posix()
    files = sorted(path for path in source.iterdir() if path.is_file()) if source.is_dir() else [source]
    lines = [f"# {name}", ""]
    for path in files:
        lines += [f"## {path.name}", ""] if source.is_dir() else []
        lines += [f"````{LANGUAGES.get(path.suffix, 'text')}", path.read_text(encoding="utf-8").rstrip(), "````", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    print(f"{len(lay_out(ROOT, Path(sys.argv[1])))} files in {sys.argv[1]}")

"""Check a built documentation site: every page, heading and link is there, and nothing is loaded from other servers.

``python scripts/docs_check.py build/pages build/site`` prints a line for each fault, and ends with exit code 1 where
there is one.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml

import mgsd_bench

ROOT = Path(__file__).parents[1]
SITE_PAGES = ("404.html",)
"""Pages that the builder adds; their links are relative to the top of a server."""
ASSETS = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "video": "src",
    "audio": "src",
    "source": "src",
    "embed": "src",
}
LOADED_LINKS = {"stylesheet", "icon", "preload", "preconnect", "modulepreload", "manifest", "dns-prefetch"}
OUTSIDE = re.compile(r"^(?:https?:)?//")


@dataclass
class Page(HTMLParser):
    """What a page of the site holds: ids, heading texts, links, and what a browser loads with it."""

    ids: set[str] = field(default_factory=set)
    headings: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._heading: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take ids, links and assets of a tag."""
        found = {name: value or "" for name, value in attrs}
        self.ids |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag in ASSETS and "src" in found:
            self.loaded.append(found["src"])
        if tag == "link" and LOADED_LINKS & set(found.get("rel", "").split()):
            self.loaded.append(found.get("href", ""))
        if re.fullmatch(r"h[1-6]", tag):
            self._heading = ""

    def handle_endtag(self, tag: str) -> None:
        """Close a heading."""
        if re.fullmatch(r"h[1-6]", tag) and self._heading is not None:
            self.headings.append(plain(self._heading))
            self._heading = None

    def handle_data(self, data: str) -> None:
        """Collect the text of a heading."""
        if self._heading is not None:
            self._heading += data


def plain(text: str) -> str:
    """The letters and digits of a heading, without Markdown and the mark of its own link."""
    return re.sub(r"[\W_]+", "", re.sub(r"\]\([^)]*\)", "", text)).lower()


def headings(markdown: str) -> list[str]:
    """The headings of a page in Markdown, outside of its code."""
    text = re.sub(r"^(`{3,}).*?^\1$", "", markdown, flags=re.MULTILINE | re.DOTALL)
    return [plain(found) for found in re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE)]


def nav_pages() -> set[str]:
    """Every page that the navigation of mkdocs.yml names."""
    return in_nav(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])


def in_nav(nav: object) -> set[str]:
    """Every page in a part of the navigation: a page, a list of parts, or parts by title."""
    if isinstance(nav, str):
        return {nav}
    values = nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ()
    return {page for value in values for page in in_nav(value)}


def faults(pages: Path, site: Path, nav: set[str]) -> list[str]:
    """A line for each thing that is missing or should not be there.

    Args:
        pages: the pages in Markdown, as ``docs_pages.py`` lays them out.
        site: the built site.
        nav: the pages that the navigation names.
    """
    read = {path.relative_to(site).as_posix(): _read(path) for path in sorted(site.rglob("*.html"))}
    found = [*_pages(pages, read, nav), *_names(read)]
    for name, page in read.items():
        found += [f"{name}: loads {url} from another server" for url in page.loaded if OUTSIDE.match(url)]
        if name not in SITE_PAGES:
            found += _links(site, name, page, read)
    for path in sorted(site.rglob("*.css")):
        urls = re.findall(r"url\(\s*['\"]?((?:https?:)?//[^)'\"]+)", path.read_text(encoding="utf-8"))
        found += [f"{path.relative_to(site)}: loads {url} from another server" for url in urls]
    return found


def _read(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def _pages(pages: Path, read: dict[str, Page], nav: set[str]) -> list[str]:
    """Pages and headings that are not in the HTML, and pages that the navigation leaves out."""
    found = []
    for path in sorted(pages.rglob("*.md")):
        name = path.relative_to(pages).as_posix()
        html = read.get(name.removesuffix(".md") + ".html")
        if html is None:
            found.append(f"{name}: is not in the site")
            continue
        if "/" not in name and name not in nav:
            found.append(f"{name}: is not in nav of mkdocs.yml")
        missing = set(headings(path.read_text(encoding="utf-8"))) - set(html.headings)
        found += [f"{name}: the heading {heading!r} is not in the site" for heading in sorted(missing)]
    return found + [
        f"mkdocs.yml: nav names {name}, which is not there" for name in sorted(nav) if not (pages / name).is_file()
    ]


def _names(read: dict[str, Page]) -> list[str]:
    """Names of the Python API that have no heading."""
    ids = read["api.html"].ids if "api.html" in read else set()
    names = [name for name in mgsd_bench.__all__ if not name.startswith("_")]
    return [f"api.md: mgsd_bench.{name} is not in the site" for name in names if f"mgsd_bench.{name}" not in ids]


def _links(site: Path, name: str, page: Page, read: dict[str, Page]) -> list[str]:
    """Links of a page within the site that lead nowhere, those to pictures and scripts included."""
    found = []
    for link in [*page.links, *page.loaded]:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (site / name).parent / unquote(parts.path) if parts.path else site / name
        target = target / "index.html" if target.is_dir() else target
        inside = Path(str(target.resolve()).removeprefix(str(site.resolve())).lstrip("/")).as_posix()
        if not target.is_file():
            found.append(f"{name}: {link} leads nowhere")
        elif parts.fragment and inside in read and unquote(parts.fragment) not in read[inside].ids:
            found.append(f"{name}: {link} leads to no such place")
    return found


if __name__ == "__main__":
    lines = faults(Path(sys.argv[1]), Path(sys.argv[2]), nav_pages())
    print("\n".join(lines) if lines else f"{sys.argv[2]}: every page, heading and link is there")
    sys.exit(bool(lines))

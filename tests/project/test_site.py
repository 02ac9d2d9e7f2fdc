"""The documentation site: its pages are laid out whole, and what checks the built site finds what is wrong with one.

``make docs`` builds it, and checks it by the same code.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import griffe
import pytest
import yaml

import mgsd_bench
from support.scripts import docs_check, docs_pages, docs_roles

ROOT = Path(__file__).parents[2]
API = "".join(f'<h4 id="mgsd_bench.{name}">{name}</h4>' for name in mgsd_bench.__all__ if name[0] != "_")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "pages"
    docs_pages.lay_out(ROOT, folder)
    return folder


def test_every_page_has_its_place_in_the_navigation(pages: Path) -> None:
    assert docs_check.nav_pages() == {path.name for path in pages.glob("*.md")}
    assert len((ROOT / "mkdocs.yml").read_text().splitlines()) <= 60


def test_no_link_leads_out_of_the_pages(pages: Path) -> None:
    for page in pages.rglob("*.md"):
        for target in docs_pages.LINK.findall(docs_pages.FENCE.sub("", page.read_text())):
            if "://" not in target[1]:
                assert (page.parent / target[1]).resolve().is_relative_to(pages), f"{page}: {target[1]}"
                assert (page.parent / target[1]).is_file(), f"{page}: {target[1]}"


def test_code_and_folders_become_pages_that_show_them(pages: Path) -> None:
    shown = (pages / "project" / "mgsd_bench" / "analysis" / "comparable.py.md").read_text()
    assert (ROOT / "mgsd_bench" / "analysis" / "comparable.py").read_text().rstrip() in shown
    folder = (pages / "project" / "examples" / "cluster.md").read_text()
    assert all(f"## {path.name}\n" in folder for path in (ROOT / "examples" / "cluster").iterdir() if path.is_file())


def test_a_link_that_leads_nowhere_stops_the_layout(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("[gone](gone.md)")
    with pytest.raises(FileNotFoundError, match=r"docs/index\.md: gone\.md leads nowhere"):
        docs_pages.lay_out(tmp_path, tmp_path / "out")


def test_the_reference_names_what_is_exported() -> None:
    named = re.findall(r"^::: mgsd_bench\.(\w+)$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE)
    assert sorted(named) == sorted(name for name in mgsd_bench.__all__ if name[0] != "_")


def test_docstrings_become_markdown() -> None:
    said = "See :func:`mgsd_bench.api.gate` and :class:`Run`.\n\nExample::\n\n    a::b"
    obj = griffe.Function("f", docstring=griffe.Docstring(said))
    docs_roles.Roles().on_instance(obj=obj)
    assert obj.docstring
    assert obj.docstring.value == "See `api.gate` and `Run`.\n\nExample:\n\n    a::b"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small site without a fault, beside its pages."""
    (tmp_path / "pages").mkdir()
    (tmp_path / "site" / "img").mkdir(parents=True)
    for name, text in {
        "index.md": "# Start\n\n## See `it` [work](api.md)\n\n```text\n# no heading\n```\n",
        "api.md": "# API\n",
    }.items():
        (tmp_path / "pages" / name).write_text(text)
    (tmp_path / "site" / "img" / "a.png").touch()
    (tmp_path / "site" / "site.css").write_text("a { background: url(img/a.png) }")
    (tmp_path / "site" / "404.html").write_text('<a href="/nowhere">x</a>')
    (tmp_path / "site" / "index.html").write_text(
        '<link rel="stylesheet" href="site.css"><h1 id="start">Start</h1>'
        '<h2 id="see">See <code>it</code> <a href="api.html#api">work</a><a href="#see">¶</a></h2>'
        '<img src="img/a.png"><a href="https://arxiv.org">paper</a><a href="api.html#mgsd_bench.Run">Run</a>'
    )
    (tmp_path / "site" / "api.html").write_text(f'<h1 id="api">API</h1>{API}<a href="./">home</a>')
    return tmp_path


def faults(folder: Path) -> list[str]:
    return docs_check.faults(folder / "pages", folder / "site", {"index.md", "api.md"})


def test_a_whole_site_has_no_faults(site: Path) -> None:
    assert faults(site) == []


def _replace(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return change


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "pages" / "new.md").touch(), "new.md: is not in the site"),
        (
            lambda folder: [(folder / place).write_text("") for place in ("pages/new.md", "site/new.html")],
            "new.md: is not in nav of mkdocs.yml",
        ),
        (
            lambda folder: [(folder / place).unlink() for place in ("pages/api.md", "site/api.html")],
            "mkdocs.yml: nav names api.md, which is not there",
        ),
        (_replace("site/index.html", "See ", "Look at "), "index.md: the heading 'seeitwork' is not in the site"),
        (_replace("site/api.html", 'id="mgsd_bench.gate"', ""), "api.md: mgsd_bench.gate is not in the site"),
        (_replace("site/index.html", "api.html#api", "apy.html"), "index.html: apy.html leads nowhere"),
        (_replace("site/index.html", "#see", "#sea"), "index.html: #sea leads to no such place"),
        (_replace("site/index.html", "#api", "#apis"), "index.html: api.html#apis leads to no such place"),
        (_replace("site/index.html", "img/a.png", "img/b.png"), "index.html: img/b.png leads nowhere"),
        (
            _replace("site/index.html", 'href="site.css"', 'href="//fonts.example/a.css"'),
            "index.html: loads //fonts.example/a.css from another server",
        ),
        (
            _replace("site/api.html", "<h1", '<script src="https://cdn.example/a.js"></script><h1'),
            "api.html: loads https://cdn.example/a.js from another server",
        ),
        (
            _replace("site/site.css", "img/a.png", "'https://cdn.example/a.woff'"),
            "site.css: loads https://cdn.example/a.woff from another server",
        ),
    ],
)
def test_what_is_wrong_is_found(site: Path, spoil: Callable[[Path], object], said: str) -> None:
    spoil(site)
    assert said in faults(site)


FORMS = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_issue_forms_are_what_github_reads(path: Path) -> None:
    form = yaml.safe_load(path.read_text())
    assert form.keys() <= {"name", "description", "title", "labels", "body"}
    assert {"name", "description", "body"} <= form.keys()
    ids = [part["id"] for part in form["body"] if part["type"] != "markdown"]
    assert len(ids) == len(set(ids)) > 0
    for part in form["body"]:
        assert part.keys() <= {"type", "id", "attributes", "validations"}
        assert part["type"] in {"markdown", "textarea", "input", "dropdown", "checkboxes"}
        assert "value" in part["attributes"] if part["type"] == "markdown" else part["attributes"]["label"]
    for name in re.findall(r"\b(?:docs/[\w-]+|SECURITY)\.md", path.read_text()):
        assert (ROOT / name).is_file(), name


def test_the_citation_is_valid_and_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    assert citation["version"] == mgsd_bench.__version__
    for work in [citation, *citation["references"]]:
        assert {"title", "authors", "type"} <= work.keys()
        assert all(
            author.keys() == {"name"} or author.keys() == {"family-names", "given-names"} for author in work["authors"]
        )
    assert [reference["url"] for reference in citation["references"]] == ["https://arxiv.org/abs/2606.06076"]

"""The documentation's links lead to existing pages, headings, pictures and files."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "STYLE.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def headings(page: Path) -> set[str]:
    """Anchors of a page's headings on GitHub and the site."""
    found: set[str] = set()
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for title in re.findall(r"^#+ (.*)$", prose, re.MULTILINE):
        words = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower())
        found.add(words.strip().replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"https?:|mailto:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in headings(target)):
            broken.append(link)
    assert broken == []


def test_the_site_has_every_page_in_its_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    named = re.findall(r": (\S+\.md)$", navigation, re.MULTILINE)
    there = [str(page.relative_to(ROOT / "docs").as_posix()) for page in (ROOT / "docs").rglob("*.md")]
    assert sorted(named) == sorted(there)


def test_every_picture_is_shown() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    unused = [
        path.name
        for path in (ROOT / "docs").rglob("*")
        if path.suffix in {".png", ".jpg", ".svg"} and path.name not in text
    ]
    assert unused == []


def test_the_python_reference_names_what_is_there() -> None:
    named = re.findall(r"^::: (\S+)$", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert named
    for name in named:
        module, _, member = name.rpartition(".")
        assert hasattr(importlib.import_module(module), member), name


EXTRAS = re.compile(r"(?:\.|gramgan-cli|\.whl)\[([a-z0-9,]+)\]")


def test_every_extra_that_a_page_names_exists() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for page in PAGES:
        named = EXTRAS.findall(page.read_text(encoding="utf-8"))
        assert {extra for names in named for extra in names.split(",")} <= set(project["optional-dependencies"]), page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_formula_needs_a_script(page: Path) -> None:
    """The site loads no scripts from other servers, so it shows formulas in TeX as their source."""
    assert re.findall(r"\$[^$\n]*\\[a-z]+[^$\n]*\$", CODE.sub("", page.read_text(encoding="utf-8"))) == []

"""The measures of STYLE.md: files in a folder, lines in a file, lines and parameters of a function, words."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "gramgan_cli"
PYTHON = sorted(path for folder in ("src", "tests", "tools", "benchmarks") for path in (ROOT / folder).rglob("*.py"))

FILES_IN_A_FOLDER = 12
LINES_OF_A_FILE = 400
LINES_OF_A_FUNCTION = 60
PARAMETERS = 8

WORDS = {
    r"persons?|whoever": "user",
    r"wish(es|ed)?": "options",
    r"ledgers?": "loss log",
    r"(?<=: )told|(?<=is )told": "called with",
    r"at (an )?address(es)?|paths? or (an )?address(es)?": "location, URL",
    r"stored without loss|without losses": "lossless",
    r"(when|where|if) nothing is said|(and|that is|is) said(?=[.;)])": "by default; reported, with a warning",
    r"outcomes?": "result",
    r"(?<!worker )(is|be|are) dead": "expired",
    r"makes? no sense": "is invalid",
    r"excludes? each other": "can't be combined",
    r"behind (its|the) (end|main)": "after",
    r"exists? already": "already exists",
    r"in a circle": "in a loop",
}
"""Patterns of words that STYLE.md replaces, and replacements; for help, messages, docstrings and documentation."""

PRIVATE_WORDS = r"told|said|places?|wish(es)?|whoever|persons?|claims?|ledgers?|outcomes?|dead"
"""Words that no name in the code contains."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(paths: list[Path]) -> Iterator[tuple[str, Function, bool]]:
    """Yield (name with its file, function, whether it is a command)."""
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, Function):
                yield f"{name(path)}:{node.name}", node, is_command(path, node)


def is_command(path: Path, function: Function) -> bool:
    """Whether a function's parameters are command-line options."""
    annotations = " ".join(ast.unparse(one.annotation) for one in parameters(function) if one.annotation)
    return path.is_relative_to(SOURCE / "cli") and "typer." in annotations


def parameters(function: Function) -> list[ast.arg]:
    every = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return [one for one in every if one.arg not in ("self", "cls")]


def length(function: Function, command: bool) -> int:
    """Lines from ``def`` to the end; for a command, without its options and help text."""
    first = function.lineno
    if command:
        first = function.body[1 if ast.get_docstring(function) and len(function.body) > 1 else 0].lineno
    assert function.end_lineno is not None
    return function.end_lineno - first + 1


def _blank(match: re.Match[str]) -> str:
    return "\n" * match[0].count("\n")


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of documentation, or of the strings in a source file."""
    if path.suffix == ".md":
        plain = re.sub(
            r"```.*?```", lambda match: "\n" * match[0].count("\n"), path.read_text("utf-8"), flags=re.DOTALL
        )
        yield from enumerate((re.sub(r"`[^`]*`", "", line) for line in plain.splitlines()), start=1)
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value


def beyond(measured: Mapping[str, int], limit: int) -> dict[str, int]:
    return {what: size for what, size in measured.items() if size > limit}


def test_folders_are_small() -> None:
    files = [*SOURCE.rglob("*.py"), *(ROOT / "tests").rglob("*.py"), *(ROOT / "tools").rglob("*.py")]
    counts = Counter(name(path.parent) for path in files if path.name not in ("__init__.py", "conftest.py"))
    assert beyond(counts, FILES_IN_A_FOLDER) == {}


def test_the_tests_have_the_folders_of_the_package() -> None:
    tests = ROOT / "tests"
    others = {"helpers", "house", "docs", "tools"}
    folders = {path.parent.relative_to(tests) for path in tests.rglob("*.py")}
    assert [
        str(one)
        for one in sorted(folders)
        if not {one.parts[0] if one.parts else "house"} & others
        if not (SOURCE / one).is_dir()
    ] == []


def test_files_are_short() -> None:
    lines = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in PYTHON}
    assert beyond(lines, LINES_OF_A_FILE) == {}


def test_functions_are_short() -> None:
    found = {called: length(one, command) for called, one, command in functions(PYTHON)}
    assert beyond(found, LINES_OF_A_FUNCTION) == {}


def test_functions_have_few_parameters() -> None:
    source = [path for path in PYTHON if path.is_relative_to(SOURCE)]
    found = {called: len(parameters(one)) for called, one, command in functions(source) if not command}
    assert beyond(found, PARAMETERS) == {}


def test_options_travel_as_frozen_dataclasses_with_keywords() -> None:
    """A command's or a run's options are one dataclass, which no step between the command and the worker changes."""
    classes = {
        f"{name(path)}:{node.name}": [ast.unparse(one) for one in node.decorator_list]
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and node.name.endswith("Options")
    }
    assert len(classes) > 5
    assert [one for one, by in classes.items() if by != ["dataclass(frozen=True, kw_only=True)"]] == []


def test_names_use_the_words_of_the_field() -> None:
    """Names of functions, classes, parameters and variables."""
    words = re.compile(PRIVATE_WORDS, re.IGNORECASE)
    found = {
        f"{name(path)}:{node.lineno}: {one}"
        for path in PYTHON
        if not path.is_relative_to(ROOT / "tests")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for one in names_of(node)
        if any(map(words.fullmatch, re.split(r"_|(?<=[a-z])(?=[A-Z])", one)))
    }
    assert sorted(found) == []


def names_of(node: ast.AST) -> list[str]:
    """Names that a node introduces."""
    if isinstance(node, Function | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.arg):
        return [node.arg]
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return [node.id]
    return [node.attr] if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) else []


def test_public_text_uses_the_words_of_the_field() -> None:
    pages = [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "guides").glob("*.md"), ROOT / "README.md"]
    found = [
        f"{name(path)}:{line}: '{match[0]}' in '{text.strip()[:80]}': write {better}"
        for path in [*pages, *SOURCE.rglob("*.py")]
        for line, text in texts(path)
        for word, better in WORDS.items()
        for match in re.finditer(rf"\b({word})\b", text)
    ]
    assert found == []


def test_every_test_file_has_a_name_of_its_own() -> None:
    """pytest imports test files by their base names."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [file for file, count in names.items() if count > 1] == []


def test_files_that_documentation_names_are_there() -> None:
    """Paths below src/gramgan_cli in architecture.md and CONTRIBUTING.md; NAME and FOLDER are placeholders."""
    for page in (ROOT / "docs" / "architecture.md", ROOT / "CONTRIBUTING.md"):
        named = re.findall(r"`((?:\w+/)+\w*(?:\.py)?)`", page.read_text(encoding="utf-8"))
        assert len(named) > 10
        roots = [ROOT, SOURCE.parent, SOURCE, *(path for path in SOURCE.rglob("*") if path.is_dir())]
        assert [one for one in named if "NAME" not in one and not any((root / one).exists() for root in roots)] == []


OTHERS = {"_send", "_replace", "_asdict", "_python_dispatch", "_exit"}
"""Underscore names of other libraries."""


def test_tests_call_public_names() -> None:
    imported = [
        f"{name(path)}:{node.lineno}: {one.name}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gramgan_cli")
        for one in node.names
        if re.match(r"_[a-z]", one.name)
    ]
    assert imported == []
    found = [
        f"{name(path)}:{node.lineno}: {node.attr}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and re.match(r"_[a-z]", node.attr) and node.attr not in OTHERS
        if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
    ]
    assert found == []

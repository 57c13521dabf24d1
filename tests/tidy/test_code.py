"""Style is a test: size, names and words of everything that people read."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE_FOLDERS = ("gongshu", "tests", "tools", "benchmarks", "examples")
FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 500
FILE_KILOBYTES_MAX = 512
LONG_ON_PURPOSE: dict[str, str] = {}  # path -> reason; a reason that no longer applies fails too
BANNED_NAMES = re.compile(
    r"(^|_)(utils?|helpers?|common|managers?|core|misc|new|old|legacy|v[0-9]+)(_|$)", re.IGNORECASE
)

# The words are put together from pieces, so that this file does not hold what it looks for.
REGISTRIES = (
    "py" + "pi.org",
    "python" + "hosted",
    "npm" + "js.",
    "deb." + "debian.",
    "proxy.go" + "lang",
    "repo1.m" + "aven",
)
MACHINE_PATH = re.compile(r"(?<![\w./])/(home/\w+|root|work|Users/\w+)/")
# Not a word of the glossary: who acts is an agency, an operator or an actor.
VAGUE_ACTOR = re.compile(r"(?<!user[-_ ])\b(sub)?" + "age" + r"nts?\b", re.IGNORECASE)
STANDARD_TEXTS = {"LICENSE"}
TODO = re.compile(r"(#|//|<!--|/\*)\s*(TODO|FIXME|XXX)\b(?!.*#\d+)")


@cache
def files_of_the_project() -> tuple[Path, ...]:
    """Every file that is tracked or would be."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: what belongs to the project is unknown")
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return tuple(path for name in listed.split("\0") if name and (path := ROOT / name).is_file())


@cache
def texts() -> dict[str, str]:
    """The text of every file that is text."""
    found = {}
    for path in files_of_the_project():
        data = path.read_bytes()
        if b"\0" not in data:
            found[path.relative_to(ROOT).as_posix()] = data.decode("utf-8", errors="replace")
    return found


def modules() -> Iterator[tuple[str, str]]:
    for name, text in texts().items():
        if name.endswith(".py") and name.split("/")[0] in CODE_FOLDERS:
            yield name, text


def lines_with(pattern: re.Pattern[str] | str, *, without: frozenset[str] = frozenset()) -> list[str]:
    matches = re.compile(re.escape(pattern), re.IGNORECASE).search if isinstance(pattern, str) else pattern.search
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts().items()
        if name not in without and matches(text)
        for number, line in enumerate(text.splitlines(), 1)
        if matches(line)
    ]


def too_long() -> dict[str, str]:
    found = {}
    for name, text in modules():
        length = len(text.splitlines())
        if length > MODULE_LINES_MAX:
            found[name] = f"{name} has {length} lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > FUNCTION_LINES_MAX:
                    found[f"{name}:{node.name}"] = f"{name}:{node.lineno} {node.name} has {length} lines"
    return found


def test_functions_and_modules_are_short() -> None:
    found = too_long()
    unexplained = [text for name, text in found.items() if name not in LONG_ON_PURPOSE]
    assert not unexplained, f"at most {FUNCTION_LINES_MAX} lines a function, {MODULE_LINES_MAX} a module"
    assert set(LONG_ON_PURPOSE) <= set(found), "an exception that is no longer needed"


def test_modules_of_the_package_say_what_they_promise() -> None:
    silent = [
        name for name, text in modules() if name.startswith("gongshu/") and not ast.get_docstring(ast.parse(text))
    ]
    assert not [name for name in silent if "/migrations/versions/" not in name]


def test_names_say_what_is_inside() -> None:
    parts = {
        (part.split(".")[0], name)
        for name in texts()
        if not name.startswith("docs/decisions/")
        for part in name.split("/")
    }
    assert not [name for part, name in sorted(parts) if BANNED_NAMES.search(part)]


@pytest.mark.parametrize("host", REGISTRIES)
def test_no_file_names_a_registry(host: str) -> None:
    assert not lines_with(host)


def test_no_file_names_a_place_on_one_machine() -> None:
    assert not lines_with(MACHINE_PATH)


def test_who_acts_is_named_with_a_word_of_the_glossary() -> None:
    assert not lines_with(VAGUE_ACTOR, without=frozenset(STANDARD_TEXTS))


def test_a_todo_names_its_issue() -> None:
    assert not lines_with(TODO)


def test_no_large_file_is_committed() -> None:
    large = [path for path in files_of_the_project() if path.stat().st_size > FILE_KILOBYTES_MAX * 1024]
    assert not large

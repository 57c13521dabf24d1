"""Every parameter that the code asks for exists on every day it may be asked for, and every one that exists is asked for."""

import ast
import re
import tomllib
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from gongshu.base.parameters import Confidence
from gongshu.server.wiring import load_parameters

ROOT = Path(__file__).resolve().parents[2]
ROWS: list[dict[str, Any]] = tomllib.loads(
    (ROOT / "gongshu" / "server" / "parameters.toml").read_text(encoding="utf-8")
)["parameter"]
KEYS = {row["key"] for row in ROWS}
KEY = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
ASKING = {"number", "text", "entry"}


def sources() -> dict[str, ast.Module]:
    return {path.as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "gongshu").rglob("*.py")}


def words() -> set[str]:
    """Every string that stands in the code."""
    return {
        node.value
        for tree in sources().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def patterns() -> list[re.Pattern[str]]:
    """Every key that is put together from pieces: ``f"registration.{stage}.working_days"``."""
    found = []
    for tree in sources().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                parts = [
                    re.escape(str(part.value)) if isinstance(part, ast.Constant) else r"[a-z_]+" for part in node.values
                ]
                if "\\." in "".join(parts):
                    found.append(re.compile("".join(parts)))
    return found


def asked_for() -> dict[str, str]:
    """Every key that is handed to ``Parameters``, and where."""
    found = {}
    for name, tree in sources().items():
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
                continue
            first = node.args[0]
            is_key = isinstance(first, ast.Constant) and isinstance(first.value, str) and KEY.fullmatch(first.value)
            if node.func.attr in ASKING and is_key:
                found[str(first.value)] = f"{name}:{node.lineno}"
    return found


def test_every_parameter_that_is_asked_for_exists() -> None:
    asked = asked_for()
    assert asked
    assert not {key: where for key, where in asked.items() if key not in KEYS}


def test_every_parameter_is_asked_for() -> None:
    made = patterns()
    assert not [key for key in KEYS - words() if not any(pattern.fullmatch(key) for pattern in made)]


@pytest.mark.parametrize("key", sorted(KEYS))
def test_periods_of_a_parameter_follow_each_other(key: str) -> None:
    periods = sorted((row["start"], row.get("end")) for row in ROWS if row["key"] == key)
    assert all(end == start for (_, end), (start, _) in pairwise(periods))
    assert periods[-1][1] is None
    units = {row["unit"] for row in ROWS if row["key"] == key}
    assert len(units) == 1


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['key']}@{row['start']}")
def test_a_parameter_says_what_it_is_and_where_it_comes_from(row: dict[str, Any]) -> None:
    assert all(row[name] for name in ("unit", "source", "title_zh", "title_en"))
    assert Confidence(row["confidence"])
    assert isinstance(row["start"], date)
    assert load_parameters().entry(row["key"], row["start"]).value == row["value"]

"""Every reason for refusing is complete: both languages, its placeholders filled wherever it is given, its source known."""

import ast
import importlib
import re
import string
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gongshu.base.decisions import RULES, Rule
from tools.generate import ROOMS, modules_of

ROOT = Path(__file__).resolve().parents[2]
CHINESE = re.compile(r"[一-鿿]")
SENTENCE_ENDS = ("。", "？", "！", ".", "?", "!", "}")
# What a source may be called: a national document and its article, a standard and its section, a specification.
SOURCES = re.compile(
    r"(26号|27号|65号|中办国办意见|个人信息保护法|数据安全法|网络安全法|民法典|GB(/T)? \d+-\d{4}|GB/T \d+(\.\d+)?-\d{4}|TC609-\d+-\d{4}-\d+|NDI-TR-\d{4}-\d+"
    r"|C2SP [a-z-]+|RFC \d+|docs/[\w/.-]+)"
)


@cache
def modules() -> dict[str, ModuleType]:
    """Every module of the package, imported, by the path of its file."""
    found = [module for room in ROOMS for module in modules_of(room)]
    return {module.__file__: module for module in found if module.__file__}


def trees() -> Iterator[tuple[ModuleType, ast.Module]]:
    for path, module in modules().items():
        yield module, ast.parse(Path(path).read_text(encoding="utf-8"))


def rules() -> list[Rule]:
    modules()
    return [RULES[code] for code in sorted(RULES) if not code.startswith("probe-")]


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def without_language(names: set[str]) -> set[str]:
    """A placeholder may exist once per language: ``fault_zh``, ``fault_en``."""
    return {re.sub(r"_(zh|en)$", "", name) for name in names}


@pytest.fixture(params=rules(), ids=lambda rule: rule.code)
def rule(request: pytest.FixtureRequest) -> Rule:
    found: Rule = request.param
    return found


def test_there_are_reasons() -> None:
    assert len(rules()) > 150


def test_a_reason_is_written_in_both_languages(rule: Rule) -> None:
    for text in (rule.what, rule.fix):
        assert CHINESE.search(text.zh)
        assert re.search(r"[A-Za-z]{2}", text.en)
        assert text.zh.endswith(SENTENCE_ENDS)
        assert text.en.endswith(SENTENCE_ENDS)


def test_both_languages_say_the_same_names_and_numbers(rule: Rule) -> None:
    for text in (rule.what, rule.fix):
        assert without_language(placeholders(text.zh)) == without_language(placeholders(text.en))
        assert not [name for name in placeholders(text.zh) if name.endswith("_en")]
        assert not [name for name in placeholders(text.en) if name.endswith("_zh")]


def test_a_reason_has_a_kebab_case_code_and_a_known_source(rule: Rule) -> None:
    """Without a source the rule is the platform's own design, and the reference page shows a dash."""
    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)+|internal", rule.code)
    assert not rule.law or all(SOURCES.match(part.strip()) for part in rule.law.split(";"))
    # A text that quotes a document names it as its source too.
    quoted = set(re.findall(r"\d\d号", rule.what.zh + rule.fix.zh))
    assert all(name in rule.law for name in quoted)


def resolved(module: ModuleType, node: ast.expr) -> Any:
    """Return what a dotted name means in a module, or ``None``."""
    if isinstance(node, ast.Name):
        return vars(module).get(node.id)
    if isinstance(node, ast.Attribute):
        return getattr(resolved(module, node.value), node.attr, None)
    return None


def given() -> Iterator[tuple[str, Rule, set[str]]]:
    """Every place that gives a reason: where, which, and the names it fills in."""
    for module, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "because":
                meant = resolved(module, node.func.value)
                if isinstance(meant, Rule) and all(keyword.arg for keyword in node.keywords):
                    yield f"{module.__name__}:{node.lineno}", meant, {str(keyword.arg) for keyword in node.keywords}


def test_every_placeholder_is_filled_wherever_a_reason_is_given() -> None:
    places = list(given())
    assert len(places) > 150
    missing = []
    for where, meant, names in places:
        texts = (meant.what.zh, meant.what.en, meant.fix.zh, meant.fix.en)
        lacking = set().union(*map(placeholders, texts)) - names
        if lacking:
            missing.append(f"{where} gives {meant.code} without {sorted(lacking)}")
    assert not missing


def test_every_reason_is_given_somewhere() -> None:
    """A name that appears nowhere but where it is defined is a rule that nothing keeps."""
    sources = "\n".join(Path(path).read_text(encoding="utf-8") for path in modules())
    names = {
        name: value.code
        for module in modules().values()
        for name, value in vars(module).items()
        if isinstance(value, Rule)
    }
    unused = [code for name, code in names.items() if len(re.findall(rf"\b{name}\b", sources)) < 2]
    assert not unused


def test_rules_that_are_made_in_place_are_found_by_name() -> None:
    """Every registered rule is a name of some module, so that the checks above see it."""
    named = {
        value.code
        for module in modules().values()
        for inner in (vars(module).values(), *(v.values() for v in vars(module).values() if isinstance(v, dict)))
        for value in inner
        if isinstance(value, Rule)
    }
    assert {rule.code for rule in rules()} <= named
    assert importlib.import_module("gongshu.base.decisions").NOT_FOUND.code in named

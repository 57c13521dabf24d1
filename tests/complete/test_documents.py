"""What the documents promise exists: settings, commands, names of the glossary."""

import argparse
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gongshu.server import cli
from tools.generate import ROOMS, modules_of

ROOT = Path(__file__).resolve().parents[2]
SETTING = re.compile(r"GONGSHU_[A-Z_]+")
SETTINGS_PAGE = "docs/reference/settings.md"
NOT_A_SETTING = {"GONGSHU_NIGHTLY": "read by tests only"}


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_every_setting_is_documented_and_every_documented_one_is_read() -> None:
    code = {name for path in (ROOT / "gongshu").rglob("*.py") for name in SETTING.findall(path.read_text("utf-8"))}
    documented = set(SETTING.findall(read(SETTINGS_PAGE))) - set(NOT_A_SETTING)
    assert code == documented


def commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield parser
    for action in below:
        for sub in action.choices.values():
            yield from commands(sub)


COMMANDS = list(commands(cli._parser()))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.prog)
def test_every_command_is_explained(command: argparse.ArgumentParser) -> None:
    assert f"`{command.prog}`" in read("docs/reference/commands.md")
    for action in command._actions:
        assert action.help, f"{command.prog} {action.dest}"


def test_every_command_that_a_document_names_exists() -> None:
    known = {command.prog for command in COMMANDS}
    groups = {" ".join(command.split()[:2]) for command in known}
    unknown = set()
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")):
        text = path.read_text("utf-8")
        named = re.findall(r"`(gongshu(?: [a-z]+){1,2})\b[^`\n]*`", text)
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
            named += re.findall(r"^(gongshu(?: [a-z]+){1,2})\b", block, re.MULTILINE)
        for name in named:
            words = name.split()
            if not (" ".join(words[:3]) in known or " ".join(words[:2]) in known | groups):
                unknown.add(f"{path.name}: {name}")
    assert not unknown


def identifiers() -> Iterator[tuple[str, str]]:
    """Each identifier of the glossary and its line."""
    for line in read("GLOSSARY.md").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4:
            for name in re.findall(r"`([^`]+)`", cells[2]):
                yield name, line


def names() -> dict[str, object]:
    """Every public name of the package."""
    return {
        name: value
        for room in ROOMS
        for module in modules_of(room)
        for name, value in vars(module).items()
        if not name.startswith("_")
    }


def test_every_identifier_of_the_glossary_exists() -> None:
    known = names()
    programs = {command.prog for command in COMMANDS}
    missing = []
    for name, line in identifiers():
        first, _, rest = name.partition(".")
        is_known = (
            name in programs
            or (not rest and (first in known or first in ROOMS))
            or (bool(rest) and first in known and has(known[first], rest))
            or (first in ROOMS and is_module(f"gongshu.{name}"))
        )
        if not is_known:
            missing.append(line)
    assert not missing


def has(owner: object, name: str) -> bool:
    return hasattr(owner, name) or name in getattr(owner, "__dataclass_fields__", {})


def is_module(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        return False
    return True


def test_the_glossary_explains_each_word_once() -> None:
    words = [line.split("|")[1].strip() for line in read("GLOSSARY.md").splitlines() if line.startswith("| ")]
    chinese = [word for word in words if word not in {"中文", "---", "–"}]
    assert len(chinese) > 40
    assert not {word for word in chinese if chinese.count(word) > 1}


@pytest.mark.parametrize(
    "name", [path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))]
)
def test_every_link_inside_the_project_leads_somewhere(name: str) -> None:
    text = re.sub(r"```.*?```", "", read(name), flags=re.DOTALL)
    broken = []
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in target and not target.startswith("mailto:"):
            there = (ROOT / name).parent / target
            if not there.exists():
                broken.append(target)
    assert not broken

"""Every status can be reached, every step has somebody who takes it, every kind of status has its table."""

import inspect
from enum import StrEnum
from types import ModuleType
from typing import Any

import pytest

from gongshu.access.types import Role
from tools.generate import ROOMS, modules_of, statuses

Transitions = dict[tuple[Any, str], tuple[Any, Any]]

BESIDE_ROLES = {
    "anybody signed in": "objections in publicity come from anybody with a name (26号)",
    "author": "whoever submitted the job",
    "both reviewers": "two reviews, by two people",
    "either reviewer": "one of the two",
    "platform": "a deadline or a worker",
}
"""Who takes a step besides the roles."""


def tables() -> dict[str, Transitions]:
    """Every status table, once, under the name of the room and its own."""
    found: dict[int, tuple[str, Transitions]] = {}
    for room in ROOMS:
        for module in modules_of(room, rules_only=True):
            for name, value in vars(module).items():
                if name.endswith("TRANSITIONS") and isinstance(value, dict):
                    found.setdefault(id(value), (f"{room}.{name}", value))
    return dict(found.values())


TABLES = tables()
every_table = pytest.mark.parametrize("name", sorted(TABLES))


def kind_of(table: Transitions) -> type[StrEnum]:
    kind: type[StrEnum] = type(next(iter(table))[0])
    return kind


def owners(who: Any) -> list[str]:
    many = who if isinstance(who, (tuple, list, set, frozenset)) else str(who).split(",")
    return [str(one).strip() for one in many]


def test_there_are_tables() -> None:
    assert len(TABLES) >= 10


@every_table
def test_every_status_is_reached_from_the_first_one(name: str) -> None:
    table = TABLES[name]
    first, *others = kind_of(table)
    reached, waiting = {first}, [first]
    while waiting:
        status = waiting.pop()
        for (at, _), (after, _) in table.items():
            if at is status and after not in reached:
                reached.add(after)
                waiting.append(after)
    assert reached == {first, *others}


@every_table
def test_every_step_has_an_owner(name: str) -> None:
    known = {role.value for role in Role} | set(BESIDE_ROLES)
    for (status, action), (_, who) in TABLES[name].items():
        assert action == action.strip().lower(), (status, action)
        assert owners(who), (status, action)
        assert set(owners(who)) <= known, (status, action, who)


def test_every_word_for_an_owner_is_still_used() -> None:
    used = {owner for table in TABLES.values() for _, who in table.values() for owner in owners(who)}
    assert set(BESIDE_ROLES) <= used


def test_every_kind_of_status_has_one_table() -> None:
    kinds = {
        value
        for room in ROOMS
        for module in modules_of(room)
        if isinstance(module, ModuleType)
        for name, value in vars(module).items()
        if name.endswith("Status") and inspect.isclass(value) and issubclass(value, StrEnum)
    }
    assert {kind.__name__ for kind in kinds} == {kind_of(table).__name__ for table in TABLES.values()}
    assert len(kinds) == len(TABLES)


@every_table
def test_every_step_is_drawn(name: str) -> None:
    drawing = statuses()["docs/reference/statuses.md"]
    for (at, action), (after, _) in TABLES[name].items():
        line = f"{at} --> {after}: {action} (".replace("-", "_")
        assert line in drawing.replace("-", "_")

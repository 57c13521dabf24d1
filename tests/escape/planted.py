"""Rows with planted secrets, neighbouring worlds that differ in one unit's secrets, and an oracle that knows them all.

- every value of a protected text column holds the word SECRET, as do the names of groups of one to nine units;
- protected numbers are unique and lie above 900 000 000; protected days lie between 1901 and 1916;
- ``whale`` and ``pair`` are groups of twenty units where one, or two, hold nearly everything;
- ``VICTIM`` is the unit that attackers go for. They know its ``filter_int`` from elsewhere. ``TWIN`` is alike in everything
  that may be seen or grouped by. In the world ``SWAPPED`` the two have changed their secrets, in ``CHANGED`` the victim
  has new ones, in ``OTHERS`` everybody else has (and other ones in
  ``OTHERS_AGAIN``, to tell chance from a leak).
"""

import hashlib
import math
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from gongshu.catalog.types import DataType
from gongshu.compute.types import Relation
from gongshu.policies.types import Mask, MaskKind, Use
from tests.escape.world import Answer, World
from tests.governed import PEOPLE, THRESHOLDS, VISITS, relation

ROWS, VISIT_ROWS, AREA_ROWS = 2000, 2600, 40
VICTIM, TWIN = 1042, 1322
VICTIM_INT, TWIN_INT = 700_000 + VICTIM * 3, 700_000 + TWIN * 3
VICTIM_ID = f"SECRET id {VICTIM}"

AREAS = relation("areas", "all_text", "all_int2", unit=())
CARDS = relation(
    "cards", "join_compare_text", "reveal_compare_text3", "group_int3", "filter_date3", "rank_total_filter_dec3",
    "join_compare_filter_text4",
)  # fmt: skip
MASKS = {
    "reveal_compare_text3": Mask(MaskKind.PHONE), "group_int3": Mask(MaskKind.BAND, "1000000"),
    "filter_date3": Mask(MaskKind.MONTH), "join_compare_filter_text4": Mask(MaskKind.NAME),
}  # fmt: skip
CARDS = replace(
    CARDS,
    policy=replace(CARDS.policy, columns=tuple(replace(c, mask=MASKS.get(c.column)) for c in CARDS.policy.columns)),
)
TRIPS = relation(
    "trips", "join_compare_group_text", "group_text", "total_int", "filter_int", "filter_total_int", "rank_total_int",
    "group_filter_rank_total_int", "filter_flag", "join_int", "group_reveal_text", unit=("join_compare_group_text",),
)  # fmt: skip
"""Rows that may be grouped by the person whose they are."""
RELATIONS = (PEOPLE, VISITS, AREAS, CARDS, TRIPS)
PERSONS = frozenset({"join_compare_text", "join_compare_group_text"})
KNOWN = frozenset({
    "join_compare_text", "join_compare_group_text", "join_int", "filter_int", "group_text", "group_text2", "group_date", "group_filter_text",
    "group_filter_date", "group_join_text", "group_int3",
})  # fmt: skip
"""Columns beside the open ones that a neighbouring world leaves as they are."""


class Neighbour(StrEnum):
    """Which of the neighbouring worlds."""

    PLAIN = "plain"
    SWAPPED = "swapped"
    CHANGED = "changed"
    OTHERS = "others"
    OTHERS_AGAIN = "others again"


SECRETS_OF = {
    Neighbour.PLAIN: {}, Neighbour.SWAPPED: {VICTIM: TWIN, TWIN: VICTIM}, Neighbour.CHANGED: {VICTIM: VICTIM + 50_000},
    Neighbour.OTHERS: {row: row + 50_000 for row in range(ROWS) if row != VICTIM},
    Neighbour.OTHERS_AGAIN: {row: row + 60_000 for row in range(ROWS) if row != VICTIM},
}  # fmt: skip
"""Whose secrets a row holds, where they are not its own."""


def is_secret(name: str) -> bool:
    """Whether neighbouring worlds differ in this column."""
    words = name.split("_")
    return name not in KNOWN and "reveal" not in words and "all" not in words


def group_of(row: int) -> str:
    """Return the group of a row: tiny ones first, then two that are dominated, then large ones."""
    start = 0
    for size in range(1, 10):
        if row < start + size:
            return f"SECRET tiny {size}"
        start += size
    return "whale" if row < 65 else "pair" if row < 85 else f"kind {row % 7}"


@cache
def drawn_number(name: str, row: int) -> int:
    """Return a number below 90 000 that looks random and is always the same."""
    return int.from_bytes(hashlib.blake2b(f"{name} {row}".encode(), digest_size=6).digest()) % 90_000


def secret_number(name: str, row: int) -> int:
    """Return a number that no other cell of the world has, and that no mean of them hits by chance."""
    return 900_000_137 + drawn_number(name, row) * 1_000


def value_of(name: str, kind: DataType, row: int, drawn: int) -> Any:
    """Return a cell of ``row``; secrets are those of ``drawn``."""
    drawn = drawn if is_secret(name) else row
    is_open = "reveal" in name or "all" in name
    match kind:
        case DataType.TEXT:
            return _text_of(name, row, drawn)
        case DataType.INTEGER | DataType.DECIMAL:
            return _number_of(name, row, drawn)
        case DataType.BOOLEAN:
            return drawn_number(name, drawn) % 3 == 0
        case _:
            if is_open or "group" in name:
                return f"{2010 + row % 5}-0{1 + row % 4}-11"
            start = date(1911, 1, 2) if "rank" in name else date(1901, 1, 2)
            return (start + timedelta(days=drawn % 2000)).isoformat()


def _text_of(name: str, row: int, drawn: int) -> str:
    if name in PERSONS:
        return f"SECRET id {row}"
    if "join_compare_filter" in name or "reveal_compare" in name:
        return f"1{drawn % 10}9SECRET{drawn:05}"
    if "reveal" in name or "all" in name:
        return f"open {row % 7}"
    if "group_join" in name:
        return f"area {row % 40}"
    return group_of(row) if "group" in name else f"SECRET {name} {drawn}"


def _number_of(name: str, row: int, drawn: int) -> int:
    if "reveal" in name or "all" in name:
        return row % 40
    if name == "filter_int":
        return 700_000 + row * 3
    if name == "filter_int2":
        return 700_000 + drawn % 300 * 3
    if name == "join_int":
        return 600_000 + row % 500
    is_large = (group_of(row) == "whale" and row == 50) or (group_of(row) == "pair" and row in {70, 71})
    return secret_number(name, drawn) * (1000 if is_large and "total" in name else 1)


def rows_of(made: Relation, neighbour: Neighbour) -> list[list[Any]]:
    """Return the rows of a relation. ``visits`` and ``trips`` have one for each person and a second one for the first hundreds."""
    others = SECRETS_OF[neighbour]
    count = {"visits": VISIT_ROWS, "trips": VISIT_ROWS, "areas": AREA_ROWS}.get(made.name, ROWS)
    found = []
    for row in range(count):
        person = row % ROWS
        drawn = others.get(person, person) + (row - person) * 100
        cells = []
        for column in made.columns:
            at = person if column.name in {*PERSONS, "join_int"} else row
            cells.append(value_of(column.name, column.data_type, at, drawn))
        found.append(cells)
    return found


def worlds(folder: Path, *wanted: Neighbour) -> dict[Neighbour, World]:
    """Make neighbouring worlds, one like the other but for some secrets."""

    def made(neighbour: Neighbour) -> World:
        return World(folder / neighbour, RELATIONS, lambda relation: rows_of(relation, neighbour))

    return {neighbour: made(neighbour) for neighbour in wanted}


@cache
def protected_numbers() -> frozenset[int]:
    """Return every number of one unit in a column without ``reveal``."""
    found = set()
    for made in RELATIONS:
        for index, column in enumerate(made.columns):
            is_number = column.data_type in {DataType.INTEGER, DataType.DECIMAL}
            if is_number and Use.REVEAL not in made.policy.of(column.name).uses and column.name not in MASKS:
                found |= {
                    round(row[index]) for world in (Neighbour.PLAIN, Neighbour.CHANGED) for row in rows_of(made, world)
                }
    return frozenset(number for number in found if number > 600_000)


def leaks(answer: Answer) -> list[str]:
    """Return what an answer gives away: protected texts, days, numbers, or small counts, shown or left by subtraction.

    Columns called ``n…`` are counts of units or rows: none of them, nor a difference of two, may be 1 to 9.
    """
    found = []
    if "SECRET" in answer.said.replace("SECRET 42", "").replace(VICTIM_ID, ""):
        found.append("a refusal names a value")
    for row in answer.rows:
        found += [f"text {cell}" for cell in row if isinstance(cell, str) and "SECRET" in cell]
        found += [f"day {cell}" for cell in row if isinstance(cell, date) and _is_secret_day(cell)]
        numbers = [float(cell) for cell in row if isinstance(cell, int | float) or hasattr(cell, "as_tuple")]
        sums = [*numbers, *(a - b for i, a in enumerate(numbers) for b in numbers[:i])]
        found += [f"number {n}" for n in sums if _is_secret_number(n)]
        named = zip(answer.columns, row, strict=True)
        counts = [int(cell) for name, cell in named if name.startswith("n") and _is_whole(cell)]
        left = [*counts, *(abs(a - b) for i, a in enumerate(counts) for b in counts[:i])]
        found += [f"count {n}" for n in left if 0 < n < THRESHOLDS.units_min]
    return found


def _is_whole(cell: object) -> bool:
    """Whether a cell can be a count: mutations put other statistics under the names of counts."""
    return isinstance(cell, int | float | Decimal) and not isinstance(cell, bool) and float(cell).is_integer()


def _is_secret_day(cell: date) -> bool:
    return 1901 <= cell.year <= 1906 or (1911 <= cell.year <= 1916 and cell.day != 1)


def _is_secret_number(number: float) -> bool:
    if not math.isfinite(number):
        return False
    near = round(abs(number))
    return abs(abs(number) - near) < 1e-6 and near in protected_numbers()

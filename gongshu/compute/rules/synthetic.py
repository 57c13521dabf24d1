"""Synthetic rows: made from schema and safe statistics, the same for the same seed, valid-looking and never real.

Used of a version are only types, meanings, and shares rounded to 5 %. No value of the data is looked at. Codes carry the
right check characters but an area number (999999) that was never assigned; phone numbers begin with 100, which no
mobile number does. The entity behind row *i* has the same codes in every relation, so that joins find partners.
"""

import hashlib
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from gongshu.base.identifiers import CREDIT_ALPHABET, credit_check_character, id_card_check_character
from gongshu.catalog.types import DataType, Meaning

ROWS_DEFAULT = 2_000
ROWS_MAX = 10_000
CATEGORIES_MAX = 4
FIRST_DAY, DAYS = date(2000, 1, 1), 1_000
"""Few categories and years: groups by several columns must be large enough to be shown."""
AREA = "999999"
FAMILY_NAMES, GIVEN_NAMES = "甲乙丙丁戊己庚辛壬癸", "子丑寅卯辰巳午未申酉戌亥"
SHARE_STEP_PERCENT = 5
CATEGORICAL = frozenset({Meaning.REGION, Meaning.CATEGORY, Meaning.CURRENCY})
"""Meanings with few values, whatever the share of distinct ones."""


@dataclass(frozen=True)
class ColumnSketch:
    """What is known of a column without looking at it. Shares are percentages rounded to ``SHARE_STEP_PERCENT``."""

    name: str
    data_type: DataType
    meaning: Meaning
    null_percent: int
    distinct_percent: int


def rounded_percent(part: int, whole: int) -> int:
    """Return the share of ``part`` in ``whole`` in percent, rounded to ``SHARE_STEP_PERCENT``."""
    return round(part * 100 / whole / SHARE_STEP_PERCENT) * SHARE_STEP_PERCENT if whole else 0


def _draw(*parts: object) -> int:
    text = "\x1f".join(str(part) for part in parts).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def credit_code(entity: int) -> str:
    """Return a credit code with a right check character (GB 32100, MOD 31) in an area that does not exist."""
    digits = [CREDIT_ALPHABET[(entity // 31**place) % 31] for place in range(9)]
    body = "91" + AREA + "".join(digits)
    return body + credit_check_character(body)


def id_card(entity: int) -> str:
    """Return an ID number with a right check character (GB 11643, MOD 11-2) in an area that does not exist."""
    born = FIRST_DAY - timedelta(days=entity % 15_000)
    body = f"{AREA}{born:%Y%m%d}{entity % 1000:03d}"
    return body + id_card_check_character(body)


def _named(meaning: Meaning, entity: int, pick: int) -> str | None:
    """Return the text of a meaning that speaks of an entity; ``None`` for the others."""
    match meaning:
        case Meaning.CREDIT_CODE:
            return credit_code(entity)
        case Meaning.ID_CARD:
            return id_card(entity)
        case Meaning.PHONE:
            return f"100{entity % 10**8:08d}"
        case Meaning.PERSON_NAME:
            return "示" + FAMILY_NAMES[entity % 10] + GIVEN_NAMES[entity // 10 % 12]
        case Meaning.ORGANISATION_NAME:
            return f"示例{entity}号有限公司"
        case Meaning.ADDRESS:
            return f"示例省示例市{FAMILY_NAMES[pick % 5]}区示例路{entity % 1000}号"
        case Meaning.BANK_CARD:
            return f"000000{entity % 10**13:013d}"
        case Meaning.MAILBOX:
            return f"u{entity}@example.invalid"
        case _:
            return None


def _value(column: ColumnSketch, seed: int, row: int) -> Any:
    pick = _draw(seed, column.name, row)
    if pick % 100 < column.null_percent:
        return None
    pick //= 100
    match column.data_type:
        case DataType.INTEGER:
            return pick % 1_000 * 10
        case DataType.DECIMAL:
            return Decimal(pick % 1_000_000) / 100
        case DataType.BOOLEAN:
            return pick % 2 == 0
        case DataType.DATE:
            return FIRST_DAY + timedelta(days=pick % DAYS)
        case DataType.TIMESTAMP:
            day = FIRST_DAY + timedelta(days=pick % DAYS)
            return datetime(day.year, day.month, day.day, pick % 24, pick // 24 % 60)  # noqa: DTZ001 - as stored, without zone
        case DataType.TEXT:
            named = _named(column.meaning, row, pick)
            return named if named is not None else _category(column, row, pick)


def _category(column: ColumnSketch, row: int, pick: int) -> str:
    if column.distinct_percent > 50 and column.meaning not in CATEGORICAL:
        return f"{column.name}{row}"
    # A few categories of falling size, so that thresholds have something to withhold.
    spread = min(pick % CATEGORIES_MAX, pick // CATEGORIES_MAX % CATEGORIES_MAX)
    return f"{column.name}{FAMILY_NAMES[spread]}"


def synthetic_rows(columns: tuple[ColumnSketch, ...], seed: int, rows: int) -> list[tuple[Any, ...]]:
    """Return ``rows`` rows. The same columns and seed give the same rows, on every machine."""
    return [tuple(_value(column, seed, row) for column in columns) for row in range(rows)]

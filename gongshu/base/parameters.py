"""Dated parameters: every number that a law, a standard or the platform's own design sets, with its source.

A change acts from its start date; a case decided earlier keeps the value of its day.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class Confidence(StrEnum):
    """How well the source of a value is known."""

    CONFIRMED = "confirmed"
    DRAFT = "confirmed-draft"
    SECONDARY = "secondary"
    MEMORY = "memory"
    DESIGN = "design"


@dataclass(frozen=True)
class Parameter:
    """One value in force from ``start`` (inclusive) to ``end`` (exclusive, None: open)."""

    key: str
    value: int | str
    unit: str
    start: date
    end: date | None
    source: str
    confidence: Confidence
    title_zh: str
    title_en: str


@dataclass(frozen=True)
class Parameters:
    """All parameters, asked by key and day."""

    entries: tuple[Parameter, ...]

    def entry(self, key: str, day: date) -> Parameter:
        """Return the entry of ``key`` in force on ``day``. ``KeyError`` when there is none: a rule needs its number."""
        for entry in self.entries:
            if entry.key == key and entry.start <= day and (entry.end is None or day < entry.end):
                return entry
        raise KeyError(f"no parameter {key} in force on {day.isoformat()}")

    def number(self, key: str, day: date) -> int:
        """Return the whole number of ``key`` in force on ``day``."""
        value = self.entry(key, day).value
        if not isinstance(value, int):
            raise TypeError(f"parameter {key} is not a whole number")
        return value

    def text(self, key: str, day: date) -> str:
        """Return the text (a decimal, a list) of ``key`` in force on ``day``."""
        return str(self.entry(key, day).value)

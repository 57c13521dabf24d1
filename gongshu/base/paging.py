"""Every list is paged."""

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

PAGE_ROWS_MAX = 200
PAGE_ROWS_DEFAULT = 50


@dataclass(frozen=True)
class PageRequest:
    """Which part of a list: at most ``limit`` rows (1 to ``PAGE_ROWS_MAX``) after the cursor ``after``."""

    limit: int = PAGE_ROWS_DEFAULT
    after: str = ""


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some rows, and the cursor of the next ones (empty when these were the last)."""

    rows: tuple[T, ...]
    next_after: str = ""

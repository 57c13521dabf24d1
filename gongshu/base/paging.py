"""Every list is paged."""

from collections.abc import Callable
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


FIRST_PAGE = PageRequest()
"""The default of every list."""


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some rows, and the cursor of the next ones (empty when these were the last)."""

    rows: tuple[T, ...]
    next_after: str = ""


def page_where(
    fetch: Callable[[PageRequest], Page[T]],
    keep: Callable[[T], bool],
    request: PageRequest,
    id_of: Callable[[T], str] = lambda row: row.id,  # type: ignore[attr-defined]
) -> Page[T]:
    """Return a page of the rows that ``keep`` lets through: what the reader may know of.

    For lists whose visibility no column can express. Pages of ``fetch`` are read until this one is full.
    """
    limit = max(1, min(request.limit, PAGE_ROWS_MAX))
    kept: list[T] = []
    after = request.after
    while True:
        page = fetch(PageRequest(PAGE_ROWS_MAX, after))
        kept += [row for row in page.rows if keep(row)]
        if len(kept) > limit:
            return Page(tuple(kept[:limit]), next_after=id_of(kept[limit - 1]))
        if not page.next_after:
            return Page(tuple(kept))
        after = page.next_after

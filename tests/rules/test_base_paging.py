"""Pages of rows that only some may see."""

import pytest

from gongshu.base.paging import PAGE_ROWS_MAX, Page, PageRequest, page_where

ROWS = [f"{number:04d}" for number in range(500)]


def fetch(request):
    rest = [row for row in ROWS if row > request.after]
    rows = tuple(rest[: request.limit])
    return Page(rows, next_after=rows[-1] if len(rest) > len(rows) else "")


def walk(keep, limit):
    pages, after = [], ""
    while True:
        page = page_where(fetch, keep, PageRequest(limit, after), id_of=str)
        pages.append(page.rows)
        if not page.next_after:
            return pages
        after = page.next_after


@pytest.mark.parametrize("every", [1, 2, 7, 100, 499, 600])
@pytest.mark.parametrize("limit", [1, 3, 100, PAGE_ROWS_MAX])
def test_pages_hold_what_the_reader_may_see_once_and_in_order(every, limit):
    def may_see(row):
        return int(row) % every == every - 1

    pages = walk(may_see, limit)
    assert [row for page in pages for row in page] == [row for row in ROWS if may_see(row)]
    assert all(len(page) == limit for page in pages[:-1])
    assert len(pages[-1]) <= limit


@pytest.mark.parametrize(("limit", "rows"), [(0, 1), (-1, 1), (10**6, PAGE_ROWS_MAX)])
def test_the_size_of_a_page_is_bounded(limit, rows):
    assert len(page_where(fetch, lambda _: True, PageRequest(limit), id_of=str).rows) == rows

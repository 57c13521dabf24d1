"""Documents: the one way in which every room keeps its objects, on both stores."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from sqlalchemy import MetaData

from gongshu.base import tables
from gongshu.base.decisions import Refused
from gongshu.base.paging import PAGE_ROWS_MAX, PageRequest
from gongshu.server.database import ControlDatabase


@dataclass(frozen=True)
class Thing:
    id: str
    colour: str
    count: int = 0


@pytest.fixture
def things(database_url, monkeypatch) -> Iterator[tuple[ControlDatabase, tables.Documents[Thing]]]:
    """Give a database with one table of its own."""
    metadata = MetaData()
    monkeypatch.setattr(tables, "METADATA", metadata)
    documents = tables.Documents(
        "thing", Thing, tables.short("colour"), tables.whole("count"), index=lambda thing: {"colour": thing.colour, "count": thing.count}
    )  # fmt: skip
    database = ControlDatabase(database_url)
    metadata.create_all(database.engine)
    yield database, documents
    database.close()


def test_what_is_added_is_found_again(things):
    database, documents = things
    with database.transaction() as tx:
        documents.add(tx, Thing("thing-1", "红"))
    with database.reading() as tx:
        assert documents.find(tx, "thing-1") == documents.get(tx, "thing-1") == Thing("thing-1", "红")
        assert documents.find(tx, "thing-2") is None
        with pytest.raises(Refused, match="not-found"):
            documents.get(tx, "thing-2")


def test_the_faster_of_two_writers_wins(things):
    database, documents = things
    before = Thing("thing-1", "red")
    with database.transaction() as tx:
        documents.add(tx, before)
    with database.transaction() as tx:
        documents.save(tx, before, replace(before, count=1))

    def save_late():
        with database.transaction() as tx:
            documents.save(tx, before, replace(before, count=2))

    with pytest.raises(Refused, match="changed-meanwhile"):
        save_late()
    with database.reading() as tx:
        assert documents.get(tx, "thing-1").count == 1
        assert documents.all(tx, count=1) == (Thing("thing-1", "red", 1),)


def test_a_failing_transaction_leaves_nothing(things):
    database, documents = things

    def fail():
        with database.transaction() as tx:
            documents.add(tx, Thing("thing-1", "red"))
            tx.after_commit(lambda: pytest.fail("ran without a commit"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.reading() as tx:
        assert documents.count(tx) == 0


def test_what_follows_a_commit_runs_after_it(things):
    database, documents = things
    seen = []
    with database.transaction() as tx:
        documents.add(tx, Thing("thing-1", "red"))
        tx.after_commit(lambda: seen.append(count(database, documents)))
        assert seen == []
    assert seen == [1]


def count(database, documents):
    with database.reading() as tx:
        return documents.count(tx)


@pytest.fixture
def many(things):
    """Give five things of two colours."""
    database, documents = things
    with database.transaction() as tx:
        for number in range(5):
            documents.add(tx, Thing(f"thing-{number}", "red" if number % 2 else "blue", number))
    return things


def names(things):
    return [thing.id[-1] for thing in things]


def test_filters_take_one_value_or_several(many):
    database, documents = many
    with database.reading() as tx:
        assert names(documents.all(tx, colour="red")) == ["1", "3"]
        assert names(documents.all(tx, count=(0, 3, 9))) == ["0", "3"]
        assert names(documents.all(tx, count=frozenset({4}), colour="red")) == []
        assert (documents.count(tx), documents.count(tx, colour="blue"), documents.count(tx, colour=[])) == (5, 3, 0)


def test_pages_follow_each_other_in_both_orders(many):
    database, documents = many
    with database.reading() as tx:
        first = documents.page(tx, PageRequest(limit=2))
        second = documents.page(tx, PageRequest(limit=2, after=first.next_after))
        last = documents.page(tx, PageRequest(limit=2, after=second.next_after))
        assert [names(page.rows) for page in (first, second, last)] == [["4", "3"], ["2", "1"], ["0"]]
        assert last.next_after == ""
        oldest = documents.page(tx, PageRequest(limit=3), newest_first=False, colour="blue")
        assert (names(oldest.rows), oldest.next_after) == (["0", "2", "4"], "")
        following = documents.page(tx, PageRequest(limit=3, after="thing-2"), newest_first=False)
        assert names(following.rows) == ["3", "4"]


@pytest.mark.parametrize(("limit", "rows"), [(0, 1), (-5, 1), (10**9, 5)])
def test_the_size_of_a_page_is_bounded(many, limit, rows):
    database, documents = many
    with database.reading() as tx:
        assert len(documents.page(tx, PageRequest(limit=limit)).rows) == rows
    assert PAGE_ROWS_MAX == 200

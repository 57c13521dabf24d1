"""The control database on both stores: one writer at a time, views of one moment, nothing kept of what failed."""

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, select, update
from sqlalchemy.exc import DBAPIError

from gongshu.base.site import Transaction
from gongshu.server.database import ControlDatabase

COUNTER = Table("counter", MetaData(), Column("id", Integer, primary_key=True), Column("value", Integer))
WAIT_SECONDS = 30


@pytest.fixture
def database(database_url: str) -> Iterator[ControlDatabase]:
    opened = ControlDatabase(database_url)
    COUNTER.metadata.create_all(opened.engine)
    with opened.transaction() as tx:
        tx.execute(insert(COUNTER).values(id=1, value=0))
    yield opened
    opened.close()


def value(tx: Transaction) -> int:
    return int(tx.execute(select(COUNTER.c.value)).scalar_one())


def write(tx: Transaction, number: int) -> None:
    tx.execute(update(COUNTER).values(value=number))


def now(database: ControlDatabase) -> int:
    with database.reading() as tx:
        return value(tx)


def fail_after_writing(database: ControlDatabase, seen: list[int]) -> None:
    with database.transaction() as tx:
        write(tx, 5)
        tx.after_commit(lambda: seen.append(-1))
        raise KeyError


def test_a_transaction_keeps_all_or_nothing(database: ControlDatabase) -> None:
    with pytest.raises(KeyError):
        fail_after_writing(database, [])
    assert now(database) == 0
    with database.transaction() as tx:
        write(tx, 6)
    assert now(database) == 6


def test_actions_run_after_the_commit_and_only_then(database: ControlDatabase) -> None:
    seen: list[int] = []
    with database.transaction() as tx:
        write(tx, 1)
        tx.after_commit(lambda: seen.append(now(database)))
        assert seen == []
    assert seen == [1]
    with pytest.raises(KeyError):
        fail_after_writing(database, seen)
    assert seen == [1]


def test_writers_that_read_first_lose_no_update(database: ControlDatabase) -> None:
    def work() -> None:
        for _ in range(25):
            with database.transaction() as tx:
                write(tx, value(tx) + 1)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert now(database) == 100


def test_a_writer_waits_for_the_one_before(database: ControlDatabase) -> None:
    order: list[str] = []
    is_inside = threading.Event()

    def second() -> None:
        assert is_inside.wait(WAIT_SECONDS)
        with database.transaction() as tx:
            order.append(f"second saw {value(tx)}")

    waiting = threading.Thread(target=second)
    waiting.start()
    with database.transaction() as tx:
        is_inside.set()
        write(tx, 9)
        order.append("first")
    waiting.join()
    assert order == ["first", "second saw 9"]


def test_readers_do_not_wait_for_a_writer_and_see_nothing_unfinished(database: ControlDatabase) -> None:
    with database.transaction() as tx:
        write(tx, 7)
        assert now(database) == 0
    assert now(database) == 7


def test_a_view_is_of_one_moment(database: ControlDatabase) -> None:
    with database.reading() as view:
        before = value(view)
        with database.transaction() as tx:
            write(tx, before + 1)
        assert value(view) == before
    assert now(database) == before + 1


def test_a_view_cannot_write(database: ControlDatabase) -> None:
    with pytest.raises(DBAPIError), database.reading() as view:
        write(view, 3)
    assert now(database) == 0
    with database.transaction() as tx:  # the same pooled connection may write again
        write(tx, 4)
    assert now(database) == 4

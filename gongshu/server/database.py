"""The control database: SQLite in WAL mode, or PostgreSQL. One writer at a time on both.

A single writer makes every decision see the state it changes, without retries: SQLite by ``BEGIN IMMEDIATE``,
PostgreSQL by one advisory lock per transaction. Decisions are few; calls and rows never come here.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text

BUSY_TIMEOUT_MS = 30_000
WRITER_LOCK = 0x676F6E67  # "gong": the advisory lock of the one writer on PostgreSQL


class OpenTransaction:
    """A transaction on one connection."""

    def __init__(self, connection: Connection) -> None:
        """Wrap an open connection."""
        self._connection = connection
        self.actions: list[Callable[[], None]] = []

    def execute(self, statement: Any, parameters: Any = None) -> Any:
        """Run a statement."""
        return self._connection.execute(statement, parameters)

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run ``action`` after the commit."""
        self.actions.append(action)


class ControlDatabase:
    """The real ``base.site.Database``."""

    def __init__(self, url: str) -> None:
        """Open ``url``; no connection is made yet."""
        self.engine = _make_engine(url)
        self._is_sqlite = self.engine.dialect.name == "sqlite"

    @contextmanager
    def transaction(self) -> Iterator[OpenTransaction]:
        """Open a writing transaction; the only one of its moment."""
        with self.engine.connect() as connection:
            connection.execution_options(gongshu_writes=True)
            with connection.begin():
                if not self._is_sqlite:
                    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": WRITER_LOCK})
                opened = OpenTransaction(connection)
                yield opened
        for action in opened.actions:
            action()

    @contextmanager
    def reading(self) -> Iterator[OpenTransaction]:
        """Open a read-only view of one moment: what is committed meanwhile is not seen, what is written is refused."""
        with self.engine.connect() as connection:
            if self._is_sqlite:
                connection.execution_options(gongshu_reads=True)
            else:
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin():
                yield OpenTransaction(connection)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _make_engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000})

    @event.listens_for(engine, "connect")
    def _on_connect(dbapi_connection: Any, _record: Any) -> None:
        dbapi_connection.isolation_level = None  # SQLAlchemy emits BEGIN itself, below
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_TIMEOUT_MS}"):
            dbapi_connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        connection.exec_driver_sql(f"PRAGMA query_only={'ON' if options.get('gongshu_reads') else 'OFF'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("gongshu_writes") else "BEGIN")

    return engine

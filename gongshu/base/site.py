"""Where and when the platform runs: what a service needs of the outside, handed to it as an argument.

The real ones are made in ``server.wiring``; tests make their own. Nothing here is global.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol

from gongshu.base.days import WorkingCalendar, local_day
from gongshu.base.ids import Ids
from gongshu.base.parameters import Parameters


class Transaction(Protocol):
    """An open transaction. Only stores call it."""

    def execute(self, statement: Any, parameters: Any = None) -> Any:
        """Run a SQLAlchemy Core statement and return its result."""
        ...

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run ``action`` once the transaction has committed, for example to wake a worker. Lost on a crash."""
        ...


class Database(Protocol):
    """The control database: SQLite or PostgreSQL."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Open a writing transaction: commits at the end of the block, rolls back when it raises."""
        ...

    def reading(self) -> AbstractContextManager[Transaction]:
        """Open a read-only view of one moment."""
        ...


class Keys(Protocol):
    """The key store: secrets that never enter the database, a log or the audit log."""

    def secret(self, name: str) -> bytes:
        """Return the 32 secret bytes of ``name``; they are made at first use and kept, readable by us alone."""
        ...


Clock = Callable[[], datetime]
"""Returns the time, aware and in UTC. The demo clock can be moved forward."""


@dataclass(frozen=True)
class SparkCluster:
    """A Spark cluster that governed queries may run on: where Spark Connect listens, and a folder that both sides reach.

    ``remote`` is an ``sc://`` address and may hold a token. ``folder`` is written by us; the cluster reads it as ``folder_url``.
    """

    remote: str = field(repr=False)
    folder: Path
    folder_url: str


@dataclass(frozen=True)
class Site:
    """The ports of a running installation. ``home`` is the one folder that holds all state (``GONGSHU_HOME``)."""

    db: Database
    clock: Clock
    ids: Ids
    parameters: Parameters
    calendar: WorkingCalendar
    keys: Keys
    home: Path
    is_demo: bool = False
    spark: SparkCluster | None = None

    def now(self) -> datetime:
        """Return the time, aware and in UTC."""
        return self.clock()

    def today(self) -> date:
        """Return the day in China."""
        return local_day(self.clock())

"""The one ``MetaData`` of the control database, and ``Documents``: a table that keeps one frozen type.

Control tables hold names, digests, counts and decisions, never a data value.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    func,
    select,
)
from sqlalchemy.types import TypeEngine

from gongshu.base.decisions import CHANGED_MEANWHILE, NOT_FOUND, Refused
from gongshu.base.digest import canonical_json, sha256_hex
from gongshu.base.paging import PAGE_ROWS_MAX, Page, PageRequest
from gongshu.base.site import Transaction

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

ID_CHARS_MAX = 80
SHORT_CHARS_MAX = 200

T = TypeVar("T")


def short(name: str, *, unique: bool = False, nullable: bool = True) -> Column[str]:
    """Return an indexed column for an id, a status or a code, at most ``SHORT_CHARS_MAX`` characters."""
    return Column(name, String(SHORT_CHARS_MAX), index=not unique, unique=unique, nullable=nullable)


def whole(name: str) -> Column[int]:
    """Return an indexed column for a whole number."""
    return Column(name, Integer, index=True)


def never_negative(name: str) -> Column[int]:
    """Return a column for a whole number that the database itself keeps from going below zero."""
    return Column(name, BigInteger, CheckConstraint(f"{name} >= 0", name=f"{name}_never_negative"), nullable=False)


def moment(name: str) -> Column[Any]:
    """Return an indexed column for an instant with time zone."""
    return Column(name, DateTime(timezone=True), index=True)


class Documents(Generic[T]):
    """A table of one frozen dataclass: its canonical JSON beside the few columns that are searched.

    ``columns`` are those columns; ``index`` gives their values for an object. An object has an ``id`` attribute.
    """

    def __init__(
        self,
        name: str,
        of: type[T],
        *columns: Column[Any],
        index: Callable[[T], dict[str, Any]] = lambda _: {},
        id_of: Callable[[T], str] = lambda value: value.id,  # type: ignore[attr-defined]
    ) -> None:
        """Declare the table on ``METADATA``."""
        self.kind = name
        self._decoder = msgspec.json.Decoder(of)
        self._index, self._id_of = index, id_of
        id_type: TypeEngine[str] = String(ID_CHARS_MAX)
        self.table = Table(
            name, METADATA, Column("id", id_type, primary_key=True), Column("document", Text, nullable=False),
            Column("document_digest", String(64), nullable=False), *columns,
        )  # fmt: skip

    def _row(self, value: T) -> dict[str, Any]:
        document = canonical_json(value)
        return {"document": document.decode(), "document_digest": sha256_hex(document), **self._index(value)}

    def add(self, tx: Transaction, value: T) -> None:
        """Store a new object."""
        tx.execute(self.table.insert().values(id=self._id_of(value), **self._row(value)))

    def save(self, tx: Transaction, before: T, after: T) -> None:
        """Replace ``before`` by ``after``; refused with ``changed-meanwhile`` when somebody else was faster."""
        changed = tx.execute(
            self.table.update()
            .where(self.table.c.id == self._id_of(before))
            .where(self.table.c.document_digest == sha256_hex(canonical_json(before)))
            .values(**self._row(after))
        )
        if changed.rowcount != 1:
            raise Refused((CHANGED_MEANWHILE.because(kind=self.kind, id=self._id_of(before)),))

    def find(self, tx: Transaction, object_id: str) -> T | None:
        """Return the object, or ``None``."""
        if "\0" in object_id:  # no id has it, and PostgreSQL would refuse to look
            return None
        row = tx.execute(select(self.table.c.document).where(self.table.c.id == object_id)).first()
        return None if row is None else self._decoder.decode(row[0])

    def get(self, tx: Transaction, object_id: str) -> T:
        """Return the object; refused with ``not-found`` when there is none."""
        found = self.find(tx, object_id)
        if found is None:
            raise Refused((NOT_FOUND.because(kind=self.kind, id=object_id),))
        return found

    def _where(self, statement: Any, filters: dict[str, Any]) -> Any:
        for name, value in filters.items():
            column = self.table.c[name]
            is_many = isinstance(value, tuple | list | set | frozenset)
            statement = statement.where(column.in_(tuple(value)) if is_many else column == value)
        return statement

    def all(self, tx: Transaction, **filters: Any) -> tuple[T, ...]:
        """Return every object whose columns equal ``filters`` (a collection means: one of), oldest first."""
        statement = self._where(select(self.table.c.document), filters).order_by(self.table.c.id)
        return tuple(self._decoder.decode(row[0]) for row in tx.execute(statement))

    def page(self, tx: Transaction, request: PageRequest, *, newest_first: bool = True, **filters: Any) -> Page[T]:
        """Return one page of the objects whose columns equal ``filters``, by id, newest first unless told."""
        limit = max(1, min(request.limit, PAGE_ROWS_MAX))
        key = self.table.c.id
        statement = self._where(select(self.table.c.document, key), filters)
        if request.after:
            statement = statement.where(key < request.after if newest_first else key > request.after)
        rows = tx.execute(statement.order_by(key.desc() if newest_first else key).limit(limit + 1)).all()
        found = tuple(self._decoder.decode(row[0]) for row in rows[:limit])
        return Page(found, next_after=rows[limit - 1][1] if len(rows) > limit else "")

    def count(self, tx: Transaction, **filters: Any) -> int:
        """Return how many objects have columns that equal ``filters``."""
        return int(tx.execute(self._where(select(func.count()).select_from(self.table), filters)).scalar_one())

"""Tables of the log: entries, the objects they came from, and every checkpoint that was published.

An entry's place in the log is the next free number, taken in the caller's transaction. Writers are serialised on both
stores, so the numbers are the order of commits, without gaps: a rolled-back entry leaves none. Two writers that were
not serialised would collide on the primary key rather than fork the log.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    bindparam,
    func,
    select,
    tuple_,
)

from gongshu.audit.types import Outcome
from gongshu.base.paging import PAGE_ROWS_MAX, PageRequest
from gongshu.base.site import Transaction
from gongshu.base.tables import ID_CHARS_MAX, METADATA, SHORT_CHARS_MAX

K = TypeVar("K", bound=tuple[str, ...])

_NUMBER = BigInteger().with_variant(Integer, "sqlite")  # SQLite's row id, which costs nothing
_KEYS_PER_QUERY = 250

ENTRIES = Table(
    "audit_entry", METADATA,
    Column("sequence", _NUMBER, primary_key=True, autoincrement=False),
    Column("id", String(ID_CHARS_MAX), nullable=False, unique=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("person", String(SHORT_CHARS_MAX), nullable=False),
    Column("party", String(SHORT_CHARS_MAX), nullable=False),
    Column("action", String(SHORT_CHARS_MAX), nullable=False),
    Column("subject_kind", String(SHORT_CHARS_MAX), nullable=False),
    Column("subject_id", String(SHORT_CHARS_MAX), nullable=False),
    Column("outcome", String(SHORT_CHARS_MAX), nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Index("ix_audit_entry_subject", "subject_id", "subject_kind"),
    Index("ix_audit_entry_action", "action"),
    Index("ix_audit_entry_party", "party"),
    Index("ix_audit_entry_outcome", "outcome"),
)  # fmt: skip

ORIGINS = Table(
    "audit_origin", METADATA,
    Column("origin_id", String(SHORT_CHARS_MAX), primary_key=True),
    Column("origin_kind", String(SHORT_CHARS_MAX), primary_key=True),
    Column("entry_id", String(ID_CHARS_MAX), primary_key=True),
    sqlite_with_rowid=False,
)  # fmt: skip

CHECKPOINTS = Table(
    "audit_checkpoint", METADATA,
    Column("size", _NUMBER, primary_key=True, autoincrement=False),
    Column("root", String(64), nullable=False),
    Column("note", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)  # fmt: skip

_COLUMNS = ("id", "at_ms", "person", "party", "action", "subject_kind", "subject_id", "outcome", "leaf")
_NEXT = select(func.coalesce(func.max(ENTRIES.c.sequence) + 1, 0)).scalar_subquery()
_INSERT = ENTRIES.insert().values(sequence=_NEXT, **{name: bindparam(name) for name in _COLUMNS})
_INSERT_ORIGIN = ORIGINS.insert()


@dataclass(frozen=True)
class EntryRow:
    """An entry as it is kept: its place, its bytes, and the columns by which it is found."""

    sequence: int
    leaf: bytes
    index: dict[str, Any]


@dataclass(frozen=True)
class CheckpointRow:
    """A published checkpoint as it is kept. ``root`` is hexadecimal."""

    size: int
    root: str
    note: str


def append(tx: Transaction, index: dict[str, str | int], leaf: bytes, origins: tuple[tuple[str, str], ...]) -> None:
    """Put an entry at the end of the log."""
    tx.execute(_INSERT, {**index, "leaf": leaf})
    if origins:
        rows = [{"origin_kind": kind, "origin_id": name, "entry_id": index["id"]} for kind, name in origins]
        tx.execute(_INSERT_ORIGIN, rows)


def count_and_end(tx: Transaction) -> tuple[int, int]:
    """Return how many entries there are and the next free number. They agree unless somebody deleted entries."""
    row = tx.execute(select(func.count(), func.coalesce(func.max(ENTRIES.c.sequence) + 1, 0))).one()
    return int(row[0]), int(row[1])


def end(tx: Transaction) -> int:
    """Return the next free number."""
    return int(tx.execute(select(func.coalesce(func.max(ENTRIES.c.sequence) + 1, 0))).scalar_one())


def leaves(tx: Transaction, start: int, count: int) -> list[tuple[int, bytes]]:
    """Return number and bytes of up to ``count`` entries from ``start`` on."""
    statement = select(ENTRIES.c.sequence, ENTRIES.c.leaf).where(ENTRIES.c.sequence >= start)
    return [(row[0], bytes(row[1])) for row in tx.execute(statement.order_by(ENTRIES.c.sequence).limit(count))]


def rows(tx: Transaction, start: int, count: int) -> list[EntryRow]:
    """Return up to ``count`` whole rows from ``start`` on."""
    statement = select(ENTRIES).where(ENTRIES.c.sequence >= start).order_by(ENTRIES.c.sequence).limit(count)
    found = []
    for row in tx.execute(statement).mappings():
        columns = dict(row)
        sequence, leaf = columns.pop("sequence"), bytes(columns.pop("leaf"))
        found.append(EntryRow(sequence, leaf, columns))
    return found


def subjects_since(tx: Transaction, start: int, kinds: Collection[str]) -> list[tuple[str, str]]:
    """Return kind and id of what permitted entries from ``start`` on were about, of these kinds, once each, in order."""
    statement = (
        select(ENTRIES.c.subject_kind, ENTRIES.c.subject_id)
        .where(ENTRIES.c.sequence >= start)
        .where(ENTRIES.c.outcome != Outcome.DENIED.value)
        .where(ENTRIES.c.subject_kind.in_(sorted(kinds)))
        .order_by(ENTRIES.c.sequence)
    )
    return list(dict.fromkeys((str(row[0]), str(row[1])) for row in tx.execute(statement)))


def kept_origins(tx: Transaction, wanted: list[tuple[str, str, str]]) -> set[tuple[str, str, str]]:
    """Return those of ``wanted`` (kind, id, entry id) that are kept."""
    columns = (ORIGINS.c.origin_kind, ORIGINS.c.origin_id, ORIGINS.c.entry_id)
    found: set[tuple[str, str, str]] = set()
    for part in _parts(wanted):
        statement = select(*columns).where(ORIGINS.c.origin_id.in_([origin_id for _, origin_id, _ in part]))
        found |= {(row[0], row[1], row[2]) for row in tx.execute(statement.where(tuple_(*columns).in_(part)))}
    return found


def origins_count(tx: Transaction) -> int:
    """Return how many origins are kept for all entries."""
    return int(tx.execute(select(func.count()).select_from(ORIGINS)).scalar_one())


def find(tx: Transaction, entry_id: str) -> tuple[int, bytes] | None:
    """Return number and bytes of an entry by its id, or ``None``."""
    row = tx.execute(select(ENTRIES.c.sequence, ENTRIES.c.leaf).where(ENTRIES.c.id == entry_id)).first()
    return None if row is None else (int(row[0]), bytes(row[1]))


def page(tx: Transaction, request: PageRequest, filters: dict[str, str]) -> tuple[list[bytes], str]:
    """Return the bytes of entries whose columns equal ``filters``, newest first, and the cursor of the next page."""
    limit = max(1, min(request.limit, PAGE_ROWS_MAX))
    statement = select(ENTRIES.c.sequence, ENTRIES.c.leaf)
    for name, value in filters.items():
        statement = statement.where(ENTRIES.c[name] == value)
    if request.after:
        statement = statement.where(ENTRIES.c.sequence < int(request.after))
    found = tx.execute(statement.order_by(ENTRIES.c.sequence.desc()).limit(limit + 1)).all()
    return [bytes(row[1]) for row in found[:limit]], str(found[limit - 1][0]) if len(found) > limit else ""


def about(tx: Transaction, keys: Collection[tuple[str, str]], limit: int) -> list[bytes]:
    """Return the bytes of up to ``limit`` permitted entries whose subjects are ``keys`` (kind, id), oldest first."""
    found: list[Any] = []
    for part in _parts(keys):
        statement = (
            select(ENTRIES.c.sequence, ENTRIES.c.leaf)
            .where(ENTRIES.c.subject_id.in_([object_id for _, object_id in part]))  # what the index answers
            .where(tuple_(ENTRIES.c.subject_kind, ENTRIES.c.subject_id).in_(part))
            .where(ENTRIES.c.outcome != Outcome.DENIED.value)  # not "=": half of all entries is no use as an index
        )
        found += tx.execute(statement.order_by(ENTRIES.c.sequence).limit(limit)).all()
    return [bytes(row[1]) for row in sorted(found)[:limit]]


def made_from(tx: Transaction, keys: Collection[tuple[str, str]], limit: int) -> list[bytes]:
    """Return the bytes of up to ``limit`` entries that name one of ``keys`` (kind, id) as origin, oldest first."""
    found: dict[int, bytes] = {}
    for part in _parts(keys):
        named = (
            select(ORIGINS.c.entry_id)
            .where(ORIGINS.c.origin_id.in_([object_id for _, object_id in part]))  # what the index answers
            .where(tuple_(ORIGINS.c.origin_kind, ORIGINS.c.origin_id).in_(part))
        )
        statement = select(ENTRIES.c.sequence, ENTRIES.c.leaf).where(ENTRIES.c.id.in_(named))
        found |= {row[0]: bytes(row[1]) for row in tx.execute(statement.order_by(ENTRIES.c.sequence).limit(limit))}
    return [found[sequence] for sequence in sorted(found)[:limit]]


def _parts(keys: Collection[K]) -> Iterator[list[K]]:
    listed = sorted(keys)
    for at in range(0, len(listed), _KEYS_PER_QUERY):
        yield listed[at : at + _KEYS_PER_QUERY]


def add_checkpoint(tx: Transaction, row: CheckpointRow, at_ms: int) -> None:
    """Keep a checkpoint before it is handed out; nothing happens when it is kept already."""
    if checkpoint_at(tx, row.size) is None:
        tx.execute(CHECKPOINTS.insert(), {"size": row.size, "root": row.root, "note": row.note, "at_ms": at_ms})


def newest_checkpoint(tx: Transaction) -> CheckpointRow | None:
    """Return the largest published checkpoint, or ``None``."""
    statement = select(CHECKPOINTS.c.size, CHECKPOINTS.c.root, CHECKPOINTS.c.note)
    row = tx.execute(statement.order_by(CHECKPOINTS.c.size.desc()).limit(1)).first()
    return None if row is None else CheckpointRow(*row)


def checkpoint_at(tx: Transaction, size: int) -> CheckpointRow | None:
    """Return the checkpoint published at ``size``, or ``None``."""
    statement = select(CHECKPOINTS.c.size, CHECKPOINTS.c.root, CHECKPOINTS.c.note)
    row = tx.execute(statement.where(CHECKPOINTS.c.size == size)).first()
    return None if row is None else CheckpointRow(*row)


def checkpoints(tx: Transaction) -> list[CheckpointRow]:
    """Return every published checkpoint, smallest first."""
    statement = select(CHECKPOINTS.c.size, CHECKPOINTS.c.root, CHECKPOINTS.c.note).order_by(CHECKPOINTS.c.size)
    return [CheckpointRow(*row) for row in tx.execute(statement)]

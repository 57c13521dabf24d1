"""Entries in, entries out."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from gongshu.access import service as access
from gongshu.access.types import Actor, Permission
from gongshu.audit import store
from gongshu.audit.rules import entries as rules
from gongshu.audit.types import Entry
from gongshu.base.decisions import NOT_FOUND, Decision, Refused
from gongshu.base.digest import Ref
from gongshu.base.paging import Page, PageRequest
from gongshu.base.site import Site, Transaction

CURSOR_DIGITS_MAX = 18

_KEPT: ContextVar[list[str] | None] = ContextVar("kept", default=None)


def record(
    tx: Transaction,
    site: Site,
    *,
    actor: Actor,
    action: str,
    subject: Ref,
    decision: Decision[object],
    origins: tuple[Ref, ...] = (),
    facts: dict[str, str] | None = None,
) -> None:
    """Append the entry of ``decision`` in the caller's transaction: it stands if and only if the change does.

    ``facts`` are names, digests, counts; never a data value. An entry that cannot be kept is refused, and with it the
    change.
    """
    entry = rules.entry_of(
        site.ids.make("entry"), site.now(), actor,
        action=action, subject=subject, decision=decision, origins=tuple(origins), facts=facts or {},
    )  # fmt: skip
    leaf = rules.encode(entry).value_or_raise()
    store.append(tx, rules.index_of(entry), leaf, rules.origins_of(entry))
    kept = _KEPT.get()
    if kept is not None:
        tx.after_commit(lambda: kept.append(entry.id))


def changes_since_in(
    tx: Transaction, size: int, kinds: Collection[str]
) -> tuple[int, tuple[tuple[str, str], ...]]:  # fmt: skip
    """Return how many entries the log has now, and kind and id of what changed since it had ``size``, of these kinds.

    Whoever follows the log by it misses no permitted change, and sees each at least once.
    """
    return store.end(tx), tuple(store.subjects_since(tx, size, kinds))


@contextmanager
def watching() -> Iterator[list[str]]:
    """Give a list that fills with the ids of entries as they are committed by what runs inside.

    The edge sees by it whether a refused change has left its entry.
    """
    kept: list[str] = []
    token = _KEPT.set(kept)
    try:
        yield kept
    finally:
        _KEPT.reset(token)


def list_entries(
    site: Site,
    actor: Actor,
    page: PageRequest,
    *,
    subject_id: str = "",
    action: str = "",
    party: str = "",
    outcome: str = "",
) -> Page[Entry]:
    """Return entries that have the columns given, newest first."""
    access.require(actor, Permission.AUDIT_LOG_READ)
    if page.after and not (page.after.isascii() and page.after.isdigit() and len(page.after) <= CURSOR_DIGITS_MAX):
        raise Refused((rules.CURSOR_INVALID.because(),))
    wanted = {"subject_id": subject_id, "action": action, "party": party, "outcome": outcome}
    filters = {name: rules.indexed(value) for name, value in wanted.items() if value}
    with site.db.reading() as tx:
        leaves, next_after = store.page(tx, page, filters)
    return Page(tuple(rules.decode(leaf) for leaf in leaves), next_after)


def get_entry(site: Site, actor: Actor, entry_id: str) -> Entry:
    """Return an entry by its id."""
    access.require(actor, Permission.AUDIT_LOG_READ)
    with site.db.reading() as tx:
        found = store.find(tx, rules.indexed(entry_id))
    if found is None:
        raise Refused((NOT_FOUND.because(kind="entry", id=entry_id),))
    return rules.decode(found[1])

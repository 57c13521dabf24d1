"""Lifelines: walks over the entries of the log."""

from collections.abc import Collection
from typing import Literal

from gongshu.access import service as access
from gongshu.access.types import Actor, Permission
from gongshu.audit import store
from gongshu.audit.rules import entries, traces
from gongshu.audit.types import Entry, Trace
from gongshu.base.decisions import Refused
from gongshu.base.site import Site, Transaction


def _about(tx: Transaction) -> traces.Lookup:
    def lookup(keys: Collection[traces.Key], limit: int) -> list[Entry]:
        return [entries.decode(leaf) for leaf in store.about(tx, _indexed(keys), limit)]

    return lookup


def _made_from(tx: Transaction) -> traces.Lookup:
    def lookup(keys: Collection[traces.Key], limit: int) -> list[Entry]:
        return [entries.decode(leaf) for leaf in store.made_from(tx, _indexed(keys), limit)]

    return lookup


def _indexed(keys: Collection[traces.Key]) -> list[traces.Key]:
    return [(entries.indexed(kind), entries.indexed(object_id)) for kind, object_id in keys]


def trace_back(site: Site, kind: str, object_id: str) -> Trace:
    """Return everything the object came from. Only what was permitted makes a step or an edge."""
    with site.db.reading() as tx:
        return _known(traces.walk_back((kind, object_id), _about(tx)))


def trace_forward(site: Site, kind: str, object_id: str) -> Trace:
    """Return everything that came of the object. Only what was permitted makes a step or an edge."""
    with site.db.reading() as tx:
        return _known(traces.walk_forward((kind, object_id), _about(tx), _made_from(tx)))


def _known(trace: Trace) -> Trace:
    if not trace.steps and not trace.edges:
        raise Refused((traces.TRACE_NOT_FOUND.because(kind=trace.start.kind, id=trace.start.id),))
    return trace


def read_trace(site: Site, actor: Actor, direction: Literal["back", "forward"], kind: str, object_id: str) -> Trace:
    """Return a trace to somebody who may read traces."""
    access.require(actor, Permission.AUDIT_TRACE_READ)
    walk = trace_back if direction == "back" else trace_forward
    return walk(site, kind, object_id)

"""Derived relations of an entitlement: made, listed and dropped by its developer."""

from collections.abc import Callable
from dataclasses import replace

from gongshu.access import service as access
from gongshu.access.types import Actor, Permission
from gongshu.audit import service as audit
from gongshu.base.decisions import NOT_FOUND, Decision, Denied, Permitted
from gongshu.base.digest import sha256_hex
from gongshu.base.ids import EntitlementId
from gongshu.base.paging import Page, PageRequest
from gongshu.base.site import Site, Transaction
from gongshu.compute import store
from gongshu.compute.rules.derived import DERIVED_MAX, decide_derived, decide_drop
from gongshu.compute.service.governing import Governed, find_entitlement_in, govern_in, named, unknown
from gongshu.compute.types import DerivedRelation

SQL_CHARACTERS_MAX = 20_000
EVERY = PageRequest(DERIVED_MAX)


def create_derived(site: Site, actor: Actor, entitlement_id: EntitlementId, name: str, sql: str) -> DerivedRelation:
    """Give a query a name, under which later statements of the same entitlement read it.

    The gate reads the query anew at each use, so a derived relation never allows more than its sources do at that moment.
    """

    def decide(governed: Governed) -> Decision[DerivedRelation]:
        wanted = DerivedRelation(
            site.ids.make("derived"),
            entitlement_id,
            name.strip(),
            sql[: SQL_CHARACTERS_MAX + 1],
            actor.person,
            site.now(),
        )
        return decide_derived(governed.relations, governed.thresholds, governed.derived, wanted)

    with site.db.transaction() as tx:
        decision = _decide_in(tx, site, actor, entitlement_id, decide)
        subject = decision.value.ref if isinstance(decision, Permitted) else named(entitlement_id, None)
        audit.record(
            tx, site, actor=actor, action="derived.create", subject=subject, decision=decision,
            facts={"code_digest": sha256_hex(sql.encode())},
        )  # fmt: skip
        if isinstance(decision, Permitted):
            store.DERIVED.add(tx, decision.value)
    return decision.value_or_raise()


def drop_derived(site: Site, actor: Actor, entitlement_id: EntitlementId, name: str) -> DerivedRelation:
    """Take a derived relation away; refused while another one is derived from it. Jobs keep what they froze."""

    def decide(governed: Governed) -> Decision[DerivedRelation]:
        found = next((d for d in governed.derived if d.name == name), None)
        if found is None:
            return Denied((NOT_FOUND.because(kind="derived", id=name[:80]),))
        step = decide_drop(governed.derived, found.name)
        return step if isinstance(step, Denied) else Permitted(found)

    with site.db.transaction() as tx:
        decision = _decide_in(tx, site, actor, entitlement_id, decide)
        subject = decision.value.ref if isinstance(decision, Permitted) else named(entitlement_id, None)
        audit.record(tx, site, actor=actor, action="derived.drop", subject=subject, decision=decision)
        if isinstance(decision, Permitted):
            store.DERIVED.save(tx, decision.value, replace(decision.value, dropped_at=site.now()))
    return decision.value_or_raise()


def list_derived(
    site: Site, actor: Actor, entitlement_id: EntitlementId, page: PageRequest = EVERY
) -> Page[DerivedRelation]:  # fmt: skip
    """Return the derived relations of an entitlement of the actor's, oldest first. There are at most ``DERIVED_MAX``."""
    access.require(actor, Permission.DEVELOP_SQL_EXPLAIN)
    with site.db.reading() as tx:
        if find_entitlement_in(tx, actor, entitlement_id) is None:
            unknown(entitlement_id).value_or_raise()
        return store.derived_page(tx, entitlement_id, page)


def _decide_in(
    tx: Transaction, site: Site, actor: Actor, entitlement_id: EntitlementId,
    decide: Callable[[Governed], Decision[DerivedRelation]],
) -> Decision[DerivedRelation]:  # fmt: skip
    def case() -> Decision[DerivedRelation]:
        entitlement = find_entitlement_in(tx, actor, entitlement_id)
        if entitlement is None:
            return unknown(entitlement_id)
        governed = govern_in(tx, site, entitlement)
        return governed if isinstance(governed, Denied) else decide(governed.value)

    return access.guard(actor, Permission.DEVELOP_SQL_EXPLAIN, case)

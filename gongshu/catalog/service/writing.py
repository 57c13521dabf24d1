"""The decisions of a supplier about a resource: make it, confirm its classification, set its uses."""

from collections.abc import Callable

from gongshu.access import service as access
from gongshu.access.types import Actor, Permission
from gongshu.audit import service as audit
from gongshu.base.decisions import Decision, Permitted
from gongshu.base.digest import Ref
from gongshu.base.ids import ResourceId
from gongshu.base.site import Site, Transaction
from gongshu.catalog import store
from gongshu.catalog.rules import resources as rules
from gongshu.catalog.service.reading import known_in, latest_in
from gongshu.catalog.types import ColumnGrade, Resource, ResourceVersion
from gongshu.policies import service as policies
from gongshu.policies.types import Grade, ResourcePolicy


def create_resource(
    site: Site, actor: Actor, *, name: str, title: str, summary: str, theme: str, update_cycle: str, legal_basis: str
) -> Resource:
    """Describe a new resource of the actor's organisation. It has no data and allows nothing yet."""
    resource = Resource(
        id=ResourceId(site.ids.make("resource")), supplier=actor.party, name=name, title=title, summary=summary,
        theme=theme, update_cycle=update_cycle, legal_basis=legal_basis,
    )  # fmt: skip
    with site.db.transaction() as tx:
        is_taken = len(name) <= rules.NAME_CHARS_MAX and store.RESOURCES.count(tx, name=name) > 0
        decision = access.guard(
            actor, Permission.SUPPLY_RESOURCE_CREATE, lambda: rules.decide_create(resource, is_name_taken=is_taken)
        )
        audit.record(tx, site, actor=actor, action="resource.create", subject=resource.ref, decision=decision)
        if isinstance(decision, Permitted):
            store.RESOURCES.add(tx, resource)
    return decision.value_or_raise()


def _change(
    site: Site, actor: Actor, resource_id: ResourceId, *, action: str, permission: Permission,
    decide: Callable[[Resource, ResourceVersion | None], Decision[Resource]], facts: dict[str, str],
) -> Resource:  # fmt: skip
    """Load, decide, save and audit one change of a resource that the actor may know of."""
    with site.db.transaction() as tx:
        before, latest = _load(tx, actor, resource_id)
        decision = access.guard(actor, permission, lambda: decide(before, latest))
        after = decision.value if isinstance(decision, Permitted) else before
        origins: tuple[Ref, ...] = (latest.ref,) if latest else ()
        audit.record(
            tx, site, actor=actor, action=action, subject=after.ref, decision=decision, origins=origins, facts=facts
        )
        if isinstance(decision, Permitted):
            store.RESOURCES.save(tx, before, after)
    return decision.value_or_raise()


def _load(tx: Transaction, actor: Actor, resource_id: ResourceId) -> tuple[Resource, ResourceVersion | None]:
    resource = known_in(tx, actor, resource_id)
    return resource, latest_in(tx, resource)


def confirm_classification(
    site: Site, actor: Actor, resource_id: ResourceId, grades: tuple[ColumnGrade, ...]
) -> Resource:
    """Confirm meaning and grade of every column of the latest version; a weaker grade than proposed needs a reason."""
    defaults = {grade: policies.default_uses(grade) for grade in Grade}
    return _change(
        site, actor, resource_id, action="resource.classify", permission=Permission.SUPPLY_CLASSIFICATION_CONFIRM,
        decide=lambda resource, latest: rules.decide_grades(actor, resource, latest, grades, defaults),
        facts={"columns": str(len(grades)), "changed": str(sum(bool(g.changed_reason.strip()) for g in grades))},
    )  # fmt: skip


def set_uses(
    site: Site, actor: Actor, resource_id: ResourceId, policy: ResourcePolicy, confirmed_wider: frozenset[str]
) -> Resource:
    """Set what may be done with the columns. A column wider than its grade's default must be named."""

    def decide(resource: Resource, latest: ResourceVersion | None) -> Decision[Resource]:
        grades = {grade.column: grade.grade for grade in resource.grades}
        wider = tuple(name for name, _ in policies.wider_than_default(policy, grades) if name not in confirmed_wider)
        return rules.decide_uses(actor, resource, latest, policy, wider)

    return _change(
        site, actor, resource_id, action="resource.set_uses", permission=Permission.SUPPLY_USES_SET, decide=decide,
        facts={"columns": str(len(policy.columns)), "confirmed_wider": str(len(confirmed_wider))},
    )  # fmt: skip

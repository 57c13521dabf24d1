"""What an entitlement lets its developer compute with, and what the gate says of a statement."""

from dataclasses import dataclass

from gongshu.access import service as access
from gongshu.access.types import SYSTEM, Actor, Permission
from gongshu.audit import service as audit
from gongshu.base.decisions import NOT_FOUND, Decision, Denied, Permitted, Refused, decide
from gongshu.base.digest import Ref, sha256_hex
from gongshu.base.ids import EntitlementId
from gongshu.base.site import Site, Transaction
from gongshu.catalog import service as catalog
from gongshu.catalog.types import ResourceVersion
from gongshu.compute import store
from gongshu.compute.rules import decide_query
from gongshu.compute.rules import parameters as parameter_rules
from gongshu.compute.rules.engines import queries_of_engines
from gongshu.compute.rules.lineage import column_lineage_facet
from gongshu.compute.rules.projections import row_condition
from gongshu.compute.rules.refusals import RESOURCE_WITHOUT_VERSION
from gongshu.compute.service import budgets
from gongshu.compute.types import (
    DerivedRelation,
    Explanation,
    GovernedQuery,
    Relation,
    RelationColumn,
    StatementParameter,
)
from gongshu.policies.types import Thresholds
from gongshu.registry import service as registry
from gongshu.scenarios import service as scenarios
from gongshu.scenarios.types import Entitlement, ResourceEntitlement

Parameters = tuple[StatementParameter, ...]
ID_CHARS_MAX = 80


@dataclass(frozen=True)
class Governed:
    """An entitlement with its relations and the registered version behind each, by the relation's name."""

    entitlement: Entitlement
    relations: tuple[Relation, ...]
    versions: dict[str, ResourceVersion]
    derived: tuple[DerivedRelation, ...] = ()

    @property
    def thresholds(self) -> Thresholds:
        """The thresholds that the entitlement fixes."""
        return self.entitlement.thresholds


def named(entitlement_id: str, found: Entitlement | None) -> Ref:
    """Name an entitlement in the log even when it is not there."""
    return Ref("entitlement", entitlement_id[:ID_CHARS_MAX], "") if found is None else found.ref


def find_entitlement_in(tx: Transaction, actor: Actor, entitlement_id: EntitlementId) -> Entitlement | None:
    """Return the entitlement if ``actor`` acts for its developer (or is the platform), else ``None``."""
    try:
        found = scenarios.entitlement_in(tx, entitlement_id)
    except Refused:
        return None
    return found if actor == SYSTEM or actor.party == found.developer else None


def unknown(entitlement_id: str) -> Denied:
    """Return the refusal of an entitlement that the actor may not know of."""
    return Denied((NOT_FOUND.because(kind="entitlement", id=entitlement_id[:ID_CHARS_MAX]),))


def govern_in(tx: Transaction, site: Site, entitlement: Entitlement) -> Decision[Governed]:
    """Return what may be computed with now: entitlement and grant are asked, each resource has a registered version."""
    usable = scenarios.is_usable_in(tx, entitlement.id, site.now())
    if isinstance(usable, Denied):
        return usable
    versions: dict[str, ResourceVersion] = {}
    missing = []
    for resource in entitlement.resources:
        version = _version_in(tx, site, resource)
        if version is None:
            missing.append(RESOURCE_WITHOUT_VERSION.because(relation=resource.name))
        else:
            versions[resource.name] = version
    relations = tuple(_relation(r, versions[r.name]) for r in entitlement.resources if r.name in versions)
    return decide(Governed(entitlement, relations, versions, store.derived_under(tx, entitlement.id)), *missing)


def _version_in(tx: Transaction, site: Site, resource: ResourceEntitlement) -> ResourceVersion | None:
    coded = registry.coded_for_in(tx, resource.resource, site.today())
    if coded is None:
        return None
    version = catalog.version_in(tx, resource.resource, coded.terms.version_number)
    return version if version.ref == coded.terms.version else None


def _relation(resource: ResourceEntitlement, version: ResourceVersion) -> Relation:
    filled = {
        p.column
        for p in version.profile
        if p.null_count == p.failing_count == 0 and p.rows >= version.rows_kept  # what fails may have become NULL
    }
    columns = tuple(RelationColumn(c.name, c.data_type, c.name in filled) for c in version.manifest.columns)
    return Relation(resource.name, resource.resource, columns, resource.policy)


def decide_sql_in(  # noqa: PLR0917 - as the service asks
    tx: Transaction,
    site: Site,
    entitlement: Entitlement | None,
    entitlement_id: str,
    sql: str,
    parameters: Parameters = (),
) -> tuple[Decision[GovernedQuery], Governed | None]:
    """Ask the gate about a statement of the entitlement's developer."""
    if entitlement is None:
        return unknown(entitlement_id), None
    governed = govern_in(tx, site, entitlement)
    if isinstance(governed, Denied):
        return governed, None
    return decide_sql(governed.value, sql, parameters), governed.value


def decide_sql(governed: Governed, sql: str, parameters: Parameters = ()) -> Decision[GovernedQuery]:
    """Ask the gate; deny too when a row filter of a relation that the statement reads cannot be applied."""
    noise = budgets.decide_noise(governed.thresholds)
    decision = decide_query(governed.relations, governed.thresholds, sql, governed.derived, parameters)
    if isinstance(decision, Denied) or isinstance(noise, Denied):
        return Denied(decision.reasons + noise.reasons)
    used = {projection.relation for projection in decision.value.projections}
    filters = (row_condition(relation, relation.name) for relation in governed.relations if relation.name in used)
    reasons = tuple(reason for found in filters for reason in found.reasons)
    return Denied(reasons) if reasons else decision


def read_parameters(texts: tuple[str, ...]) -> Decision[Parameters]:
    """Read the parameters of a statement, each written ``name: type(limit) = value``."""
    return parameter_rules.read_parameters(texts)


def explain(
    site: Site, actor: Actor, entitlement_id: EntitlementId, sql: str, parameters: Parameters = ()
) -> Explanation:
    """Say whether the gate permits ``sql``, with lineage and rewritten SQL, or every reason against it.

    Nothing runs. The log keeps the digest of the statement and the codes of the reasons. The platform itself (the
    command line on the machine) may ask for any entitlement.
    """
    if actor != SYSTEM:
        access.require(actor, Permission.DEVELOP_SQL_EXPLAIN)
    with site.db.transaction() as tx:
        entitlement = find_entitlement_in(tx, actor, entitlement_id)
        decision, governed = decide_sql_in(tx, site, entitlement, entitlement_id, sql, parameters)
        audit.record(
            tx, site, actor=actor, action="sql.explain", subject=named(entitlement_id, entitlement), decision=decision,
            facts={"code_digest": sha256_hex(sql.encode())},
        )  # fmt: skip
    if entitlement is None:
        return unknown(entitlement_id).value_or_raise()
    if isinstance(decision, Permitted) and governed is not None:
        facets = column_lineage_facet(decision.value, governed.relations)
        with site.db.reading() as tx:
            budget = budgets.budget_in(tx, governed.entitlement)
        return Explanation(
            permitted=True, query=decision.value, reasons=(), open_lineage=facets, budget=budget,
            engines=queries_of_engines(decision.value, governed.relations),
        )  # fmt: skip
    return Explanation(permitted=False, query=None, reasons=decision.reasons)

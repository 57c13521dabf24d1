"""Development on synthetic rows: the same gate, the same engine, data that was made up."""

from pathlib import Path
from typing import Any

from gongshu.access import service as access
from gongshu.access.types import Actor, Permission
from gongshu.audit import service as audit
from gongshu.base.decisions import Decision, Denied
from gongshu.base.digest import sha256_hex
from gongshu.base.ids import EntitlementId
from gongshu.base.site import Site, Transaction
from gongshu.catalog import service as catalog
from gongshu.catalog.types import Meaning, Resource, ResourceVersion
from gongshu.compute.adapters import folders, projections, sandbox
from gongshu.compute.rules import jobs, synthetic
from gongshu.compute.rules import projections as written
from gongshu.compute.rules.functions import WRITTEN_TYPES
from gongshu.compute.rules.refusals import RELATION_UNKNOWN
from gongshu.compute.service.governing import (
    Governed,
    Parameters,
    decide_sql_in,
    find_entitlement_in,
    govern_in,
    named,
    unknown,
)
from gongshu.compute.service.running import recipe
from gongshu.compute.types import GovernedQuery, Projection

Rows = tuple[tuple[str, ...], tuple[tuple[Any, ...], ...]]
Sketches = dict[str, tuple[synthetic.ColumnSketch, ...]]
SHOWN_ROWS_MAX = 1_000
SEED = 20260101
DECIMAL_TYPE = "DECIMAL(18, 2)"


def synthetic_rows(  # noqa: PLR0917 - as the room offers it
    site: Site, actor: Actor, entitlement_id: EntitlementId, relation: str, seed: int, rows: int
) -> Rows:
    """Return column names and up to ``ROWS_MAX`` made-up rows of a relation; the same for the same seed.

    They show what the data looks like: types, kinds of codes, shares of empty fields. No value of the data is in them.
    """
    access.require(actor, Permission.DEVELOP_SYNTHETIC_READ)
    with site.db.reading() as tx:
        entitlement = find_entitlement_in(tx, actor, entitlement_id)
        if entitlement is None:
            return unknown(entitlement_id).value_or_raise()
        governed = govern_in(tx, site, entitlement).value_or_raise()
        if relation not in governed.versions:
            known = ", ".join(governed.versions) or "—"
            return Denied((RELATION_UNKNOWN.because(relation=relation, known=known),)).value_or_raise()
        version = governed.versions[relation]
        sketches = _sketches(catalog.resource_in(tx, version.resource), version)
    made = synthetic.synthetic_rows(sketches, seed, max(0, min(rows, synthetic.ROWS_MAX)))
    return tuple(s.name for s in sketches), tuple(made)


def _sketches(resource: Resource, version: ResourceVersion) -> tuple[synthetic.ColumnSketch, ...]:
    meanings = {p.column: p.meaning for p in version.proposals} | {g.column: g.meaning for g in resource.grades}
    profile = {p.column: p for p in version.profile}
    found = []
    for column in version.manifest.columns:
        seen = profile.get(column.name)
        nulls = synthetic.rounded_percent(seen.null_count, seen.rows) if seen else 0
        distinct = synthetic.rounded_percent(seen.distinct_count, seen.rows) if seen else 0
        meaning = meanings.get(column.name, Meaning.UNKNOWN)
        found.append(synthetic.ColumnSketch(column.name, column.data_type, meaning, nulls, distinct))
    return tuple(found)


def try_on_synthetic(
    site: Site, actor: Actor, entitlement_id: EntitlementId, sql: str, parameters: Parameters = ()
) -> Rows:
    """Run a statement on synthetic rows through the gate and the sandboxed engine, thresholds included.

    Returns column names and up to ``SHOWN_ROWS_MAX`` rows. A statement that the gate refuses is audited and raised.
    """
    with site.db.transaction() as tx:
        entitlement = find_entitlement_in(tx, actor, entitlement_id)
        governed: list[Governed] = []

        def case() -> Decision[GovernedQuery]:
            decision, found = decide_sql_in(tx, site, entitlement, entitlement_id, sql, parameters)
            governed.extend((found,) if found is not None else ())
            return decision

        decision = access.guard(actor, Permission.DEVELOP_SYNTHETIC_READ, case)
        audit.record(
            tx, site, actor=actor, action="sql.try", subject=named(entitlement_id, entitlement), decision=decision,
            facts={"code_digest": sha256_hex(sql.encode())},
        )  # fmt: skip
        sketches = {name: found for one in governed for name, found in sketches_in(tx, one).items()}
    query = decision.value_or_raise()
    with folders.workplace(site.home, site.ids.make("trial")) as place:
        return _run(site, query, governed[0], sketches, place)


def sketches_in(tx: Transaction, governed: Governed) -> Sketches:
    """Return what may be known of each relation's columns, by the relation's name."""
    versions = governed.versions.items()
    return {name: _sketches(catalog.resource_in(tx, version.resource), version) for name, version in versions}


def write_synthetic(
    site: Site, governed: Governed, wanted: tuple[Projection, ...], sketches: Sketches, place: Path
) -> dict[str, Path]:
    """Write each projection from made-up rows, with the masks and filters that the real ones get; return the files."""
    relations = {relation.name: relation for relation in governed.relations}
    given: dict[str, Path] = {}
    for index, projection in enumerate(wanted):
        made, target = place / f"made{index}.parquet", place / "projections" / f"p{index}.parquet"
        columns = sketches[projection.relation]
        types = {c.name: DECIMAL_TYPE if c.data_type == "decimal" else WRITTEN_TYPES[c.data_type] for c in columns}
        rows = synthetic.synthetic_rows(columns, SEED, synthetic.ROWS_DEFAULT)
        projections.write_rows(types, rows, made)
        projections.write(recipe(site, relations[projection.relation], projection, (made,), "synthetic"), target)
        given[projection.relation] = target
    return given


def _run(site: Site, query: GovernedQuery, governed: Governed, sketches: Sketches, place: Path) -> Rows:
    given = write_synthetic(site, governed, query.projections, sketches, place)
    run = sandbox.Run(
        given, place / "outbox", ("result.parquet",), jobs.SYNTHETIC_LIMITS, written.PLAN_OPERATORS, place / "kept"
    )
    outcome = sandbox.run_engine(query, run)
    if outcome.code:
        failed = Denied((jobs.TRIAL_FAILED.because(failure=outcome.code),))
        return failed.value_or_raise()
    names, shown = projections.read_table(place / "outbox" / "result.parquet", SHOWN_ROWS_MAX)
    return names, tuple(shown)

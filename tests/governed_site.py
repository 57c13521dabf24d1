"""A site with one registered resource of real files, a grant and an entitlement: everything that a job needs.

The objects are put straight into the stores; how they come about is the lower rooms' own tests' affair.
"""

import hashlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import duckdb

from gongshu.access.types import Role
from gongshu.base.digest import canonical_json
from gongshu.base.ids import EntitlementId, RegistrationId, ResourceId, VersionId
from gongshu.base.site import Site
from gongshu.catalog import store as catalog_store
from gongshu.catalog.types import (
    Column,
    ColumnGrade,
    ColumnProfile,
    DataType,
    FileEntry,
    Manifest,
    Meaning,
    Resource,
    ResourceVersion,
)
from gongshu.compute.rules import synthetic
from gongshu.grants import store as grants_store
from gongshu.grants.types import ResourceScope
from gongshu.policies.types import ColumnPolicy, Grade, Mask, MaskKind, ResourcePolicy, Use
from gongshu.registry import store as registry_store
from gongshu.registry.types import Registration, RegistrationStatus, RegistrationTerms
from gongshu.scenarios import store as scenarios_store
from gongshu.scenarios.types import ResourceEntitlement
from tests import samples

RESOURCE = ResourceId("resource-1")
ENTITLEMENT = EntitlementId("entitlement-1")
DEVELOPER = samples.actor(samples.DEVELOPER, Role.DEVELOPER)
STRANGER = samples.actor("stranger", Role.DEVELOPER)
AUDITOR = samples.actor("auditor", Role.AUDITOR)
OPERATOR = samples.actor(samples.OPERATOR, Role.OPERATOR)

ROWS = 300
SMALL_REGION = "小区"
COLUMNS = {
    "信用代码": (DataType.TEXT, Meaning.CREDIT_CODE, {Use.JOIN, Use.COMPARE}),
    "企业名称": (DataType.TEXT, Meaning.ORGANISATION_NAME, {Use.COMPARE}),
    "法定代表人": (DataType.TEXT, Meaning.PERSON_NAME, {Use.COMPARE}),
    "地区": (DataType.TEXT, Meaning.REGION, {Use.GROUP, Use.FILTER}),
    "注册日期": (DataType.DATE, Meaning.DATE, {Use.GROUP, Use.FILTER, Use.COMPARE}),
    "注册资本": (DataType.DECIMAL, Meaning.AMOUNT, {Use.TOTAL}),
    "状态": (DataType.TEXT, Meaning.CATEGORY, {Use.REVEAL, Use.FILTER}),
}
MADE = f"""
    SELECT i, CASE WHEN i < 4 THEN '{SMALL_REGION}' ELSE '地区' || (i % 5) END AS "地区",
        DATE '2010-01-01' + CAST(i * 11 % 4000 AS INTEGER) AS "注册日期",
        CAST(i % 90 + 10 AS DECIMAL(18, 2)) AS "注册资本", CASE WHEN i % 9 = 0 THEN '注销' ELSE '存续' END AS "状态",
        CASE WHEN i % 10 = 7 THEN NULL ELSE '赵' || i END AS "法定代表人", '示例（' || i || '）公司' AS "企业名称"
    FROM range({ROWS}) AS t(i)
"""


def policy(**changes: object) -> ResourcePolicy:
    columns = tuple(ColumnPolicy(name, frozenset(uses)) for name, (_, _, uses) in COLUMNS.items())
    given = ResourcePolicy(columns, ("信用代码",))
    return replace(given, **changes)  # type: ignore[arg-type]


def masked(column: str, kind: MaskKind, uses: frozenset[Use], parameter: str = "") -> ResourcePolicy:
    """Return the policy with a mask on one column."""
    columns = tuple(
        ColumnPolicy(c.column, uses, Mask(kind, parameter)) if c.column == column else c for c in policy().columns
    )
    return policy(columns=columns)


def write_version(site: Site, number: int = 1) -> ResourceVersion:
    """Write the files of a version and put it into the catalog."""
    folder = site.home / "data" / RESOURCE / f"v{number}"
    folder.mkdir(parents=True)
    path = folder / "part-0001.parquet"
    with duckdb.connect() as engine:
        codes = [synthetic.credit_code(i) for i in range(ROWS)]
        engine.execute(f"CREATE TABLE made AS {MADE}")
        engine.execute('ALTER TABLE made ADD COLUMN "信用代码" VARCHAR')
        engine.executemany('UPDATE made SET "信用代码" = ? WHERE i = ?', [(code, i) for i, code in enumerate(codes)])
        names = ", ".join(f'"{name}"' for name in COLUMNS)
        engine.sql(f"SELECT {names} FROM made ORDER BY i").write_parquet(str(path))
    entry = FileEntry(path.name, hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size, ROWS)
    columns = tuple(Column(name, kind) for name, (kind, _, _) in COLUMNS.items())
    manifest = Manifest(RESOURCE, number, columns, (), (entry,))
    (folder / "manifest.json").write_bytes(canonical_json(manifest))
    profile = tuple(ColumnProfile(name, ROWS, 0, ROWS, 1, 18) for name in COLUMNS)
    return ResourceVersion(
        VersionId(f"version-{number}"), RESOURCE, number, manifest, manifest.digest, ROWS, ROWS, 0, (), profile, (), (),
        samples.NOW,
    )  # fmt: skip


def settle(site: Site, given: ResourcePolicy | None = None) -> ResourceVersion:
    """Put resource, version, registration, grant and entitlement in place."""
    used = given or policy()
    version = write_version(site)
    grades = tuple(ColumnGrade(name, meaning, Grade.ORDINARY) for name, (_, meaning, _) in COLUMNS.items())
    resource = Resource(
        RESOURCE, samples.SUPPLIER, "enterprise", "企业登记", "", "market", "monthly", "法定职责", 1, grades, used
    )
    registration = Registration(
        RegistrationId("registration-1"),
        RegistrationTerms(RESOURCE, version.ref, samples.SUPPLIER, "企业登记", "", (), samples.actor("supplier").person, 1),
        RegistrationStatus.CODED, samples.NOW, None, code="4501002026000001", coded_at=samples.NOW,
        valid_until=(samples.NOW + timedelta(days=1000)).date(),
    )  # fmt: skip
    scope = ResourceScope(RESOURCE, "enterprise", registration.ref, samples.SUPPLIER, used)
    grant = samples.grant()
    grant = replace(grant, terms=replace(grant.terms, scope=(scope,)))
    entitled = ResourceEntitlement(RESOURCE, "enterprise", samples.SUPPLIER, registration.ref, used)
    with site.db.transaction() as tx:
        catalog_store.RESOURCES.add(tx, resource)
        catalog_store.VERSIONS.add(tx, version)
        registry_store.REGISTRATIONS.add(tx, registration)
        grants_store.GRANTS.add(tx, grant)
        scenarios_store.ENTITLEMENTS.add(tx, samples.entitlement(grant=grant.ref, resources=(entitled,)))
    return version


def parquet_rows(path: Path) -> list[tuple[object, ...]]:
    """Return the rows of a result."""
    with duckdb.connect() as engine:
        return engine.read_parquet(str(path)).fetchall()

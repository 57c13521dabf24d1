"""Rows of a resource do not leave as they are, whatever they are called on the way out (27号 art.21)."""

from dataclasses import replace

import pytest

from gongshu.access.types import Role
from gongshu.base.decisions import Refused
from gongshu.catalog import service as catalog
from gongshu.compute import store as compute_store
from gongshu.compute.types import ColumnLineage, Projection
from gongshu.egress import service as egress
from tests import samples, world

SUPPLIER = samples.actor(samples.SUPPLIER, Role.SUPPLIER)
COLUMNS = ("code", "region", "capital")


@pytest.fixture
def version(sqlite_site, tmp_path):
    """Give a real version of a resource of 60 rows."""
    world.settle(sqlite_site)
    source = tmp_path / "enterprise.csv"
    lines = [f"e{number},r{number % 3},{number * 10}" for number in range(60)]
    source.write_text("\n".join([",".join(COLUMNS), *lines]), "utf-8")
    resource = catalog.create_resource(
        sqlite_site, SUPPLIER, name="enterprise", title="企业", summary="企业登记", theme="市场", update_cycle="004",
        legal_basis="27号",
    )  # fmt: skip
    return catalog.ingest(sqlite_site, SUPPLIER, resource.id, [source])


def collected(site, version, query, shown, *, is_aggregate):
    """Return the output of a job that wrote ``query``, whose columns show those of the resource."""
    rows = ", ".join(f"'{path}'" for path in catalog.version_files(site, version))
    job = world.run_job(site, query.replace("source", f"read_parquet([{rows}])"))
    lineage = tuple(ColumnLineage(name, frozenset({f"enterprise.{base}"}), frozenset()) for name, base in shown.items())
    governed = replace(
        samples.QUERY, is_aggregate=is_aggregate, lineage=lineage,
        projections=(Projection("enterprise", version.resource, COLUMNS),),
    )  # fmt: skip
    planned = replace(job, plan=replace(job.plan, query=governed, inputs=(version.ref,)))
    with site.db.transaction() as tx:
        compute_store.JOBS.save(tx, job, planned)
    return egress.collect(site, job.id)


@pytest.mark.parametrize(
    ("query", "shown", "is_aggregate", "matching", "verdict"),
    [
        ("SELECT code AS a, region AS b, capital AS c FROM source ORDER BY c DESC", {"a": "code", "b": "region", "c": "capital"}, False, "60", "fail"),
        ("SELECT code AS a FROM source LIMIT 2", {"a": "code"}, False, "2", "fail"),
        ("SELECT region AS b, count(*) AS n FROM source GROUP BY region", {"b": "region"}, True, "0", "pass"),
    ],
)  # fmt: skip
def test_source_rows_are_found_under_other_names(
    sqlite_site, version, *, query, shown, is_aggregate, matching, verdict
):
    output = collected(sqlite_site, version, query, shown, is_aggregate=is_aggregate)
    (found,) = [finding for finding in output.findings if finding.check == "source-rows"]
    assert (found.facts["matching"], found.verdict) == (matching, verdict)
    if verdict == "fail":
        with pytest.raises(Refused) as refused:
            egress.submit_for_review(sqlite_site, world.DEVELOPER, output.id, "x")
        assert "output-check-failed" in str(refused.value)

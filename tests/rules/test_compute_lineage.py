"""Column lineage in OpenLineage's form, read back by OpenLineage's own classes."""

from typing import Any

import pytest
from openlineage.client.facet_v2 import column_lineage_dataset as spec
from openlineage.client.serde import Serde

from gongshu.compute.rules.lineage import column_lineage_facet
from tests.governed import RELATIONS, permitted


def facet(sql: str) -> dict[str, Any]:
    """Return the facet of a permitted statement."""
    return column_lineage_facet(permitted(sql), RELATIONS)["columnLineage"]


def inputs(sql: str) -> dict[str, set[tuple[str, str, bool]]]:
    """Return, per output, the input columns with the kind of their transformation and whether they are masked."""
    return {
        name: {
            (f"{i['name']}.{i['field']}", t["type"], t["masking"]) for i in found["inputFields"] for t in i["transformations"]
        }
        for name, found in facet(sql)["fields"].items()
    }  # fmt: skip


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("SELECT reveal_text AS a FROM people", {"a": {("people.reveal_text", "DIRECT", False)}}),
        (
            "SELECT group_text AS g, sum(total_int) AS s FROM people WHERE filter_int > 3 GROUP BY group_text",
            {
                "g": {("people.group_text", "DIRECT", True), ("people.filter_int", "INDIRECT", True)},
                "s": {
                    ("people.total_int", "DIRECT", True), ("people.group_text", "INDIRECT", True),
                    ("people.filter_int", "INDIRECT", True),
                },
            },
        ),
    ],
)  # fmt: skip
def test_direct_and_indirect_columns_are_told_apart(sql: str, found: dict[str, set[tuple[str, str, bool]]]) -> None:
    assert inputs(sql) == found


def test_openlineage_itself_reads_the_facet() -> None:
    told = facet("SELECT group_text, avg(total_dec) AS m FROM people WHERE filter_flag GROUP BY group_text")
    read = spec.ColumnLineageDatasetFacet(
        fields={
            name: spec.Fields(
                inputFields=[
                    spec.InputField(
                        i["namespace"], i["name"], i["field"],
                        [spec.Transformation(t["type"], t.get("subtype"), "", t["masking"]) for t in i["transformations"]],
                    )
                    for i in found["inputFields"]
                ]
            )
            for name, found in told["fields"].items()
        }
    )  # fmt: skip
    again = Serde.to_dict(read)
    assert told["_schemaURL"] == spec.ColumnLineageDatasetFacet._get_schema()
    assert {key for key, value in again.items() if value} == set(told)
    assert {f["namespace"] for v in again["fields"].values() for f in v["inputFields"]} == {"gongshu:resource-people"}

"""Column lineage in the form of OpenLineage: the facet ``columnLineage`` of the dataset that a governed query makes.

See the OpenLineage specification, ``ColumnLineageDatasetFacet`` 1.2.0: per output field its input fields, each with the
kind of the transformation, and whether what comes out is masked.
"""

from typing import Any

from gongshu.compute.types import GovernedQuery, Relation
from gongshu.policies.types import Use

PRODUCER = "urn:gongshu:compute"
SCHEMA = "https://openlineage.io/spec/facets/1-2-0/ColumnLineageDatasetFacet.json#/$defs/ColumnLineageDatasetFacet"
NAMESPACE = "gongshu"


def column_lineage_facet(query: GovernedQuery, relations: tuple[Relation, ...]) -> dict[str, Any]:
    """Return ``{"columnLineage": …}`` of a permitted query.

    A dataset is a resource: its namespace is ``gongshu:<resource id>``, its name that of the relation. DIRECT fields gave
    the value, INDIRECT ones decided which rows or branches there are. ``masking`` is true where no raw value goes on: the
    column is aggregated, masked, or only decided. No value of the data is in it.
    """
    known = {relation.name: relation for relation in relations}
    fields: dict[str, Any] = {}
    for line in query.lineage:
        inputs = [_input(known, name, "DIRECT", query) for name in sorted(line.direct)]
        inputs += [_input(known, name, "INDIRECT", query) for name in sorted(line.indirect)]
        fields[line.output] = {"inputFields": inputs}
    return {"columnLineage": {"_producer": PRODUCER, "_schemaURL": SCHEMA, "fields": fields}}


def _input(known: dict[str, Relation], name: str, kind: str, query: GovernedQuery) -> dict[str, Any]:
    relation = next((r for r in known.values() if name.startswith(f"{r.name}.")), None)
    table = relation.name if relation is not None else name.partition(".")[0]
    column = name.removeprefix(f"{table}.")
    policy = relation.policy.of(column) if relation is not None else None
    is_plain = policy is not None and Use.REVEAL in policy.uses and policy.mask is None
    transformation: dict[str, Any] = {"type": kind, "masking": kind == "INDIRECT" or query.is_aggregate or not is_plain}
    if kind == "DIRECT":
        transformation["subtype"] = "AGGREGATION" if query.is_aggregate and not is_plain else "TRANSFORMATION"
    namespace = f"{NAMESPACE}:{relation.resource}" if relation is not None else NAMESPACE
    return {"namespace": namespace, "name": table, "field": column, "transformations": [transformation]}

"""Tables of the catalog: names, digests, counts and decisions; never a data value."""

from gongshu.base.tables import Documents, short, whole
from gongshu.catalog.types import Resource, ResourceVersion

RESOURCES = Documents(
    "resource", Resource, short("supplier"), short("name", unique=True), whole("is_usable"),
    index=lambda r: {"supplier": r.supplier, "name": r.name, "is_usable": int(r.policy is not None)},
)  # fmt: skip
VERSIONS = Documents(
    "resource_version", ResourceVersion, short("resource"), whole("number"),
    index=lambda v: {"resource": v.resource, "number": v.number},
)  # fmt: skip

"""An object is shown to nobody who has nothing to do with it, and changed by none of them."""

import re
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from gongshu.access.types import Role
from tests.complete.asking import Operation, ask, operations
from tools import generate

if TYPE_CHECKING:
    from tests.complete.conftest import Town

BUSINESS = (Role.SUPPLIER, Role.OPERATOR, Role.DEVELOPER, Role.CONSUMER)
"""What a stranger is: an organisation that does the same kind of business here and has no part in this case."""
REFUSED = {401, 403, 404}

OPEN_OBJECTS = {
    "GET /api/v1/codes/{code}": "anybody may verify a registration code (26号)",
    "GET /api/v1/listings/{listing_id}": "the market is open",
    "GET /api/v1/parties/{party_id}": "the directory of organisations is open",
    "GET /api/v1/products/{product_id}": "a listed product is open",
    "GET /api/v1/resources/{resource_id}": "the catalogue of usable resources is open; their data are not",
    "GET /api/v1/resources/{resource_id}/uses/default": "follows from the grades, which the catalogue shows",
    "GET /api/v1/resources/{resource_id}/versions": "counts, digests and names of columns; no value",
    "GET /api/v1/resources/{resource_id}/versions/{number}": "the same",
    "GET /api/v1/resources/{resource_id}/versions/{number}/quarantine": "place and reason of a line; what stood in it is blank",
}
"""Objects that anybody may look at, and why."""
OPEN_TO_BUSINESS = {
    "GET /api/v1/contracts/{contract_id}/keys": "lists one's own keys; of another's contract there are none",
    "GET /api/v1/registrations/{registration_id}": "operators may read a case once it is coded",
    "GET /api/v1/resources/{resource_id}/scope": "whoever plans a grant must know what the supplier allows",
    "POST /api/v1/registrations/{registration_id}/objection": "anybody with a name may object while it is public (26号)",
}
"""What anybody in business may ask for about an object, and why. Strangers without a name are refused."""

ABOUT_OBJECTS = [one for one in operations(generate.api_document()) if re.search(r"_id}|{code}", one.path)]
about_objects = pytest.mark.parametrize("operation", ABOUT_OBJECTS, ids=lambda operation: operation.name)


def test_every_kind_of_object_has_an_example(lived_in: "tuple[Town, dict[str, str]]") -> None:
    wanted = {name for one in ABOUT_OBJECTS for name in re.findall(r"{(\w+_id)}", one.path)}
    assert wanted - set(lived_in[1]) == {"dispute_id", "object_id", "statement_id", "token_id"} & wanted


@about_objects
@pytest.mark.parametrize("who", ["nobody", "stranger"])
def test_an_object_is_nobody_elses_business(
    lived_in: "tuple[Town, dict[str, str]]", operation: Operation, who: str
) -> None:
    town, names = lived_in
    before = objects(town)
    answer = ask(town.client, operation, town.document, town.somebody(*BUSINESS) if who == "stranger" else {}, names)
    if operation.name in OPEN_OBJECTS:
        assert answer.status_code == 200
    elif operation.name in OPEN_TO_BUSINESS and who == "stranger":
        assert answer.status_code not in REFUSED
        assert answer.status_code < 500
    else:
        assert answer.status_code in REFUSED, answer.text[:500]
    assert objects(town) == before


@pytest.mark.parametrize("who", ["nobody", "stranger"])
def test_what_stood_in_a_quarantined_line_is_the_suppliers_own(
    lived_in: "tuple[Town, dict[str, str]]", who: str
) -> None:
    town, names = lived_in
    headers = town.somebody(*BUSINESS) if who == "stranger" else {}
    path = f"/api/v1/resources/{names['resource_id']}/versions/2/quarantine"
    lines = town.client.get(path, headers=headers).json()["rows"]
    assert lines
    assert {line["raw"] for line in lines} == {""}


def objects(town: "Town") -> dict[str, list[tuple[str, str]]]:
    """Return the digest of every object, by table."""
    from gongshu.base.tables import METADATA

    with town.site.db.reading() as tx:
        return {
            name: [tuple(row) for row in tx.execute(text(f"SELECT id, document_digest FROM {name} ORDER BY id"))]
            for name, table in METADATA.tables.items()
            if "document_digest" in table.c and name not in {"api_token", "party", "person"}
        }


def test_open_objects_are_routes_that_exist() -> None:
    known = {one.name for one in ABOUT_OBJECTS}
    assert set(OPEN_OBJECTS) | set(OPEN_TO_BUSINESS) <= known

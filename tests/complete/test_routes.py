"""Every route of the API stands in the access matrix, keeps it, and leaves a trace of what it refuses."""

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from gongshu.access.rules import ROLE_PERMISSIONS
from gongshu.access.types import Permission, Role
from gongshu.server.asgi import create_app
from gongshu.server.wiring import make_site
from tests.complete.asking import Operation, ask, operations
from tools import generate

if TYPE_CHECKING:
    from tests.complete.conftest import Headers, Town

ROOT = Path(__file__).resolve().parents[2]
WITHOUT_PERMISSION = {"public", "signed-in"}
REFUSED = {401, 403, 404}

OPEN_TO_ALL = {
    "GET /api/v1/audit/checkpoint": "anybody may keep a checkpoint and hold us to it later",
    "GET /api/v1/listings": "the market is open",
    "GET /api/v1/parties": "the directory of organisations is open",
    "GET /api/v1/publicity": "publicity asks the public for objections (26号)",
    "GET /api/v1/registrations": "lists what the caller may read; for nobody in particular that is nothing",
    "GET /api/v1/resources": "the catalogue of resources is open; their data are not",
    "GET /api/v1/tlog/checkpoint": "the same checkpoint as C2SP tlog-tiles asks",
}
"""Routes that answer nobody in particular with success on an empty installation, and why."""

LEAVES_NO_ENTRY: dict[str, str] = {}
"""Changes whose refusal is not audited, and why."""


def documented() -> list[Operation]:
    """Every route, read without a database, so that each is a test of its own."""
    return operations(generate.api_document())


ALL = documented()
CHANGES = [operation for operation in ALL if operation.changes]
named = pytest.mark.parametrize("operation", ALL, ids=lambda operation: operation.name)
changes = pytest.mark.parametrize("operation", CHANGES, ids=lambda operation: operation.name)


def codes_of(answer: Any) -> set[str]:
    return {reason["code"] for reason in answer.json()["reasons"]} if answer.status_code >= 400 else set()


def test_there_are_routes() -> None:
    assert len(ALL) > 50
    assert len(CHANGES) > 25


@named
def test_every_route_names_its_permission(operation: Operation) -> None:
    assert operation.permissions
    known = {permission.value for permission in Permission} | WITHOUT_PERMISSION
    assert set(operation.permissions) <= known


def test_the_access_matrix_is_the_one_that_was_reviewed() -> None:
    for name, made in (generate.access() | generate.access_routes()).items():
        kept = (ROOT / name).read_text(encoding="utf-8")
        changed = list(difflib.unified_diff(kept.splitlines(), made.splitlines(), lineterm="", n=0))
        assert not changed, f"{name}: run `make fix` and review the difference"


def test_a_route_outside_the_matrix_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = make_site(tmp_path)
    app = create_app(site)
    app.add_api_route("/api/v1/forgotten", lambda: None)
    monkeypatch.setattr(generate, "api_document", app.openapi)
    site.db.close()
    assert ["GET", "/api/v1/forgotten", "?", "—"] in [
        [*line.split()[:2], "?", "—"]
        for line in generate.access_routes()["tests/snapshots/access-routes.txt"].splitlines()
    ]
    assert not [one for one in operations(app.openapi()) if one.path.endswith("forgotten") and one.permissions]


@named
def test_every_route_says_what_it_does(operation: Operation) -> None:
    assert operation.spec.get("description")
    assert operation.spec.get("tags")


def test_every_list_is_paged() -> None:
    unpaged = []
    for operation in ALL:
        content = operation.spec["responses"].get("200", {}).get("content", {})
        schema = content.get("application/json", {}).get("schema", {})
        is_list = schema.get("type") == "array" or "Page_" in schema.get("$ref", "")
        names = {parameter["name"] for parameter in operation.spec.get("parameters", ())}
        if not operation.changes and is_list and not {"limit", "after"} <= names:
            unpaged.append(operation.name)
    assert not unpaged


@named
def test_nobody_gets_in_unless_the_route_is_open(town: "Town", operation: Operation) -> None:
    answer = ask(town.client, operation, town.document, {})
    if operation.name in OPEN_TO_ALL:
        assert answer.status_code == 200
    else:
        assert answer.status_code in REFUSED, answer.text


def test_open_routes_exist_and_only_read() -> None:
    assert set(OPEN_TO_ALL) <= {operation.name for operation in ALL if not operation.changes}


@named
def test_somebody_without_a_role_gets_in_nowhere(town: "Town", operation: Operation) -> None:
    answer = ask(town.client, operation, town.document, town.somebody())
    if set(operation.permissions) & WITHOUT_PERMISSION:
        assert answer.status_code < 500
    else:
        assert answer.status_code in REFUSED, answer.text


def roles_with(operation: Operation) -> set[Role]:
    wanted = set(operation.permissions)
    return {role for role, held in ROLE_PERMISSIONS.items() if wanted & {permission.value for permission in held}}


@named
def test_roles_outside_the_row_are_refused(town: "Town", operation: Operation) -> None:
    """All of them together, so that one request asks for every role."""
    if set(operation.permissions) & WITHOUT_PERMISSION:
        return
    others = [role for role in Role if role not in roles_with(operation)]
    answer = ask(town.client, operation, town.document, town.somebody(*others))
    assert answer.status_code in REFUSED, answer.text


@named
def test_each_role_of_the_row_is_heard(town: "Town", operation: Operation) -> None:
    if set(operation.permissions) & WITHOUT_PERMISSION:
        return
    deaf = {}
    for role in sorted(roles_with(operation)):
        answer = ask(town.client, operation, town.document, town.somebody(role))
        assert answer.status_code < 500, answer.text
        if codes_of(answer) & {"permission-missing", "sign-in-needed"}:
            deaf[role] = answer.text
    # Where either side may act, which permission is asked for depends on the object, and here there is none.
    may_depend = len(operation.permissions) > 1 and len(deaf) < len(roles_with(operation))
    assert not deaf or may_depend


def entries(town: "Town") -> Iterator[tuple[str, str, str]]:
    with town.site.db.reading() as tx:
        for row in tx.execute(text("SELECT person, action, outcome FROM audit_entry ORDER BY sequence")):
            yield row[0], row[1], row[2]


def refuse(town: "Town", operation: Operation, headers: "Headers") -> list[tuple[str, str, str]]:
    """Ask as somebody who is refused and return the entries that this left."""
    before = len(list(entries(town)))
    answer = ask(town.client, operation, town.document, headers)
    assert answer.status_code in REFUSED, answer.text
    return list(entries(town))[before:]


@changes
def test_every_refused_change_leaves_an_entry(town: "Town", operation: Operation) -> None:
    is_own = "signed-in" in operation.permissions
    left = refuse(town, operation, {} if is_own else town.somebody())
    if operation.name in LEAVES_NO_ENTRY:
        assert not left, "this exception is no longer needed"
        return
    assert len(left) == 1, left
    person, _, outcome = left[0]
    assert person.startswith("anonymous" if is_own else "person-")
    assert outcome == "denied"


def test_exceptions_name_routes_that_exist() -> None:
    assert set(LEAVES_NO_ENTRY) <= {operation.name for operation in CHANGES}


def test_every_permission_is_asked_for_somewhere() -> None:
    """One that nothing asks for would promise a control that does not exist."""
    sources = [
        path.read_text(encoding="utf-8") for path in (ROOT / "gongshu").rglob("*.py") if path.parent.name != "access"
    ]
    asked = {
        permission for permission in Permission if any(f"Permission.{permission.name}" in source for source in sources)
    }
    assert asked == set(Permission)


def test_every_permission_is_held_by_a_role() -> None:
    assert set().union(*ROLE_PERMISSIONS.values()) == set(Permission)
    assert set(ROLE_PERMISSIONS) == set(Role)


def test_permissions_are_in_order_and_named_like_their_value() -> None:
    names = [permission.name for permission in Permission]
    assert names == sorted(names)
    assert [permission.value.replace(":", "_").upper() for permission in Permission] == names

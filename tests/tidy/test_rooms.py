"""What import contracts cannot say: every room is known to them, and SQLAlchemy has its few places."""

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "gongshu"
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
WITHOUT_INNER_LAYERS = {"server", "console", "base", "client"}
SQLALCHEMY_PLACES = re.compile(
    r"^(base/(tables|site)|server/(answers|database|migrate|migrations/.+)|[a-z]+/store(/[a-z_]+)?)\.py$"
)


def rooms() -> set[str]:
    return {path.parent.name for path in PACKAGE.glob("*/__init__.py")}


def contract(name: str) -> dict[str, list[str]]:
    return next(one for one in CONTRACTS if one["name"].startswith(name))


def test_every_room_has_its_place_in_the_order() -> None:
    order = {layer.strip("()") for layer in contract("One order")["layers"]}
    assert rooms() <= order


def test_every_room_has_the_inner_layers() -> None:
    containers = {name.removeprefix("gongshu.") for name in contract("Inside a room: entry points")["containers"]}
    assert containers == rooms() - WITHOUT_INNER_LAYERS


def test_every_room_keeps_away_from_the_adapters_of_others() -> None:
    sources = {name.removeprefix("gongshu.") for name in contract("No room uses another")["source_modules"]}
    assert sources == rooms() - {"server", "base", "client"}


def test_contracts_have_no_exceptions() -> None:
    assert not [one["name"] for one in CONTRACTS if one.get("ignore_imports")]


def test_sqlalchemy_stays_in_stores_and_the_database() -> None:
    strays = []
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).as_posix()
        if not SQLALCHEMY_PLACES.match(name) and imports(path) & {"sqlalchemy", "alembic"}:
            strays.append(name)
    assert not strays


def imports(path: Path) -> set[str]:
    roots = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            roots.add(node.module.split(".")[0])
    return roots

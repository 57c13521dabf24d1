"""No name that somebody may send, however odd, ends in a failure of the platform; on PostgreSQL, which is the stricter."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from gongshu.access.types import Role
from gongshu.server.asgi import create_app
from gongshu.server.migrate import upgrade
from gongshu.server.wiring import make_site
from tests.complete.asking import Operation, ask, operations
from tests.complete.conftest import Town
from tools import generate

ODD = {
    "nul": "a\0b",
    "long": "长" * 600,
    "up": "../../keys",
    "quote": "'; DROP TABLE party; --",
    "blank": " ",
    "lone": "\udcff",
}
NAMED = [one for one in operations(generate.api_document()) if one.spec.get("parameters")]


@pytest.fixture(scope="module")
def strict_town(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Town]:
    import psycopg

    server = postgres_url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute('CREATE DATABASE "odd_names"')
    home: Path = tmp_path_factory.mktemp("odd") / "var"
    site = make_site(home, database_url=f"{postgres_url.removesuffix('/postgres')}/odd_names")
    upgrade(site)
    with TestClient(create_app(site)) as client:
        yield Town(site, client)
    site.db.close()
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute('DROP DATABASE "odd_names" WITH (FORCE)')


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("operation", NAMED, ids=lambda operation: operation.name)
def test_an_odd_name_is_refused_not_stumbled_over(strict_town: Town, operation: Operation, odd: str) -> None:
    name = ODD[odd].encode("utf-8", "surrogateescape")
    names = {
        parameter["name"]: quote(name, safe="")
        for parameter in operation.spec["parameters"]
        if parameter["schema"].get("type") == "string" and "enum" not in parameter["schema"]
    }
    headers = strict_town.somebody(*Role)
    answer = ask(strict_town.client, operation, strict_town.document, headers, names)
    assert answer.status_code < 500, answer.text

"""What every kind of test shares: a home folder, a private PostgreSQL server, no network beyond this machine."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import hypothesis
import psycopg
import pytest

from gongshu.base.site import Site
from gongshu.base.tables import METADATA
from gongshu.server.database import ControlDatabase
from gongshu.server.wiring import make_site
from tools.machine import install_line

POSTGRES_PROGRAMS = "lib/postgresql/*/bin/postgres"
START_TIMEOUT_SECONDS = 30
START_ATTEMPTS = 3

# Same examples on every run, so that a red build is red for everybody; a long search draws fresh ones and prints how
# to repeat a failure.
hypothesis.settings.register_profile("everyday", derandomize=True, print_blob=True, deadline=None)
hypothesis.settings.register_profile("nightly", max_examples=5000, print_blob=True, deadline=None)
hypothesis.settings.load_profile("nightly" if os.environ.get("GONGSHU_NIGHTLY") else "everyday")


def forbid_the_network(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse to connect anywhere but to this machine: a test must pass without a network."""
    if event == "socket.connect":
        address = arguments[1]
        if isinstance(address, tuple) and address[0] not in {"127.0.0.1", "::1", "localhost"}:
            raise RuntimeError(f"a test tried to reach {address[0]}; tests use no network")


sys.addaudithook(forbid_the_network)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty folder as ``GONGSHU_HOME``."""
    folder = tmp_path / "var"
    folder.mkdir()
    monkeypatch.setenv("GONGSHU_HOME", str(folder))
    return folder


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Give the URL of a fresh, empty control database; each test runs once per store."""
    return request.getfixturevalue(f"{request.param}_url")


class MovableClock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)  # a Monday, nine in the morning in China

    def __call__(self) -> datetime:
        return self.time

    def move(self, **by: float) -> None:
        """Move forward by ``timedelta(**by)``."""
        self.time += timedelta(**by)


@pytest.fixture
def clock() -> MovableClock:
    """Give the clock that ``site`` runs on."""
    return MovableClock()


@pytest.fixture
def site(home: Path, database_url: str, clock: MovableClock) -> Iterator[Site]:
    """Give a site with every table, on each store in turn."""
    made = make_site(home, database_url=database_url, clock=clock)
    with closing(cast(ControlDatabase, made.db)) as database:
        METADATA.create_all(database.engine)
        yield made


@pytest.fixture
def sqlite_site(home: Path, sqlite_url: str, clock: MovableClock) -> Iterator[Site]:
    """Give a site with every table, on SQLite only: for what does not depend on the store."""
    made = make_site(home, database_url=sqlite_url, clock=clock)
    with closing(cast(ControlDatabase, made.db)) as database:
        METADATA.create_all(database.engine)
        yield made


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Give the URL of a SQLite database that does not exist yet."""
    return f"sqlite:///{tmp_path / 'gongshu.db'}"


@pytest.fixture
def postgresql_url(postgres_url: str) -> Iterator[str]:
    """Give the URL of a fresh, empty PostgreSQL database."""
    name = f"test_{os.getpid()}_{time.monotonic_ns()}"
    server = postgres_url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    yield postgres_url.removesuffix("/postgres") + f"/{name}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Start a private PostgreSQL server on a free port of 127.0.0.1; one per test process, always stopped."""
    found = sorted(Path("/usr").glob(POSTGRES_PROGRAMS))
    if not found:
        pytest.skip(f"PostgreSQL is not installed; run: {install_line(['postgresql'])}")
    folder = Path(tempfile.mkdtemp(prefix="gongshu-postgresql-"))
    account = unprivileged_account()
    try:
        if account:
            shutil.chown(folder, account)
        server, port = start_postgres(found[-1].parent, folder, account)
        try:
            yield f"postgresql+psycopg://gongshu@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGINT)  # disconnects clients and stops
            try:
                server.wait(timeout=10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def unprivileged_account() -> str | None:
    """Return the account to run PostgreSQL as: it refuses root."""
    return "postgres" if os.geteuid() == 0 else None


def start_postgres(programs: Path, folder: Path, account: str | None) -> tuple[subprocess.Popen[bytes], int]:
    """Make a cluster and start it. It dies with this process, even if that is killed."""
    data = folder / "data"
    subprocess.run(
        [
            programs / "initdb", "--pgdata", data, "--username=gongshu", "--auth=trust", "--encoding=UTF8",
            "--locale=C.UTF-8", "--no-sync", "--no-instructions",
        ],
        user=account, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=True,
    )  # fmt: skip
    # SIGQUIT ends PostgreSQL at once. Nothing here is worth an orderly shutdown.
    dies_with_us = ["setpriv", "--pdeathsig", "QUIT"]
    if account:
        dies_with_us += ["--reuid", account, "--regid", account, "--init-groups"]
    for _ in range(START_ATTEMPTS):
        port = free_port()
        options = {
            "listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "fsync": "off",
            "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "64MB", "max_connections": 100,
            "autovacuum": "off", "logging_collector": "off",
        }  # fmt: skip
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [*dies_with_us, programs / "postgres", "-D", data, *settings],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if has_started(server, port):
            return server, port
    raise RuntimeError(f"PostgreSQL did not start:\n{(folder / 'log').read_text()}")


def has_started(server: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the server answers; false when it gave up, for example because the port was taken meanwhile."""
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            psycopg.connect(host="127.0.0.1", port=port, user="gongshu", dbname="postgres", connect_timeout=2).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return True
    server.kill()
    server.wait()
    return False


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

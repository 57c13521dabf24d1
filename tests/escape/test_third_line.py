"""The third line alone: gate and bound-plan check are switched off, and the engine itself is told to do harm.

The statements run in the child as they are. They find nothing outside their projection, write nothing but results, and
come back as codes. The engine's own lock (no external access) is tested with them; then the cell without that lock.
"""

import os
import socket
from pathlib import Path

import duckdb
import pytest

from gongshu.compute.adapters import child, sandbox
from gongshu.compute.adapters.interpreters import PACKAGES
from gongshu.compute.rules.jobs import LIMITS
from gongshu.compute.rules.projections import PLAN_OPERATORS
from gongshu.compute.types import GovernedQuery

needs_cells = pytest.mark.skipif(not sandbox.has_namespaces(), reason="this machine has no user namespaces")
SECRET_TEXT = "SECRET-OF-THE-HOST"

UNCHECKED = """
import sys; sys.path[:0] = {folders!r}
from gongshu.compute.adapters import child
child.check_plan = lambda engine, sql, request, readable, marks: set(request["relations"])
{unlocked}
child.main()
"""
UNLOCKED = """
def open_engine(request):
    import duckdb
    engine = duckdb.connect(":memory:")
    for name, path in request["relations"].items():
        engine.execute(f"CREATE VIEW {child.quoted(name)} AS SELECT * FROM read_parquet({child.literal(path)})")
    return engine, {}
child.open_engine = open_engine
"""

HOSTILE_SQL = [
    "SELECT * FROM read_text('{secret}')",
    "SELECT * FROM read_blob('{secret}')",
    "SELECT * FROM read_csv('/etc/passwd', header = false, columns = {{'line': 'VARCHAR'}}, sep = chr(1))",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM read_text('/proc/self/environ')",
    "SELECT * FROM read_text('/proc/1/cmdline')",
    "SELECT * FROM glob('{home}/*')",
    "SELECT * FROM glob('/var/*')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM read_json_auto('{secret}')",
    "SELECT * FROM read_parquet('{home}/other.parquet')",
    "SELECT * FROM read_ndjson_objects('{secret}')",
    "SELECT * FROM sniff_csv('{secret}')",
    "SELECT * FROM parquet_metadata('{home}/other.parquet')",
    "SELECT * FROM query('SELECT * FROM read_text(''{secret}'')')",
    "SELECT * FROM query_table('{secret}')",
    "SELECT * FROM 'http://127.0.0.1:{port}/x.csv'",
    "SELECT * FROM read_csv('http://127.0.0.1:{port}/x.csv')",
    "SELECT * FROM read_parquet('s3://bucket/x.parquet')",
    "SELECT getenv('GONGSHU_SECRET_KEY') AS k",
    "SELECT * FROM t, read_text('{secret}')",
    "SELECT (SELECT content FROM read_text('{secret}')) AS c FROM t",
]
HOSTILE_STATEMENTS = [
    "COPY (SELECT 1) TO '{home}/written.csv'",
    "COPY (SELECT * FROM t) TO '/tmp/written.parquet' (FORMAT parquet)",
    "COPY (SELECT 1) TO '/job/outbox/other.csv'",
    "ATTACH '{home}/new.db' AS other",
    "ATTACH '/job/outbox/new.db' AS other",
    "EXPORT DATABASE '{home}/export'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "LOAD '/image/packages/evil.duckdb_extension'",
    "SET enable_external_access = true",
    "SET allowed_directories = ['/']",
    "SET temp_directory = '{home}'",
    "SET home_directory = '{home}'",
    "SET extension_directory = '{home}'",
    "SET log_query_path = '{home}/log'",
    "PRAGMA enable_profiling = 'json'",
    "PRAGMA profiling_output = '{home}/profile'",
    "IMPORT DATABASE '{home}'",
    "CHECKPOINT",
    "USE information_schema",
]


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    (home / "secret.txt").write_text(SECRET_TEXT)
    duckdb.sql(f"SELECT '{SECRET_TEXT}' AS s").write_parquet(str(home / "other.parquet"))
    os.environ["GONGSHU_SECRET_KEY"] = SECRET_TEXT
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield {"home": str(home), "secret": str(home / "secret.txt"), "port": server.getsockname()[1], "server": server}
    del os.environ["GONGSHU_SECRET_KEY"]


@pytest.fixture
def run(tmp_path):
    (tmp_path / "outbox").mkdir()
    path = tmp_path / "p0.parquet"
    duckdb.sql("SELECT i % 5 AS k FROM range(100) AS r(i)").write_parquet(str(path))
    return sandbox.Run({"t": path}, tmp_path / "outbox", ("result.csv",), LIMITS, PLAN_OPERATORS)


def attack(run, sql, monkeypatch, *, is_locked):
    """Run a statement as the final one, with nothing in front of it but the cell (and the engine's lock)."""
    unlocked = "" if is_locked else UNLOCKED
    monkeypatch.setattr(
        sandbox, "start_line",
        lambda module, folders: UNCHECKED.format(folders=["/job", PACKAGES], unlocked=unlocked),
    )  # fmt: skip
    return sandbox.run_engine(GovernedQuery(sql, (), (), (), is_aggregate=True), run)


def shown(run):
    return "".join(path.read_text(errors="replace") for path in run.outbox.iterdir())


def untouched(host):
    assert {path.name for path in Path(host["home"]).iterdir()} == {"other.parquet", "secret.txt"}
    with pytest.raises(BlockingIOError):
        host["server"].accept()


@needs_cells
def test_the_checks_are_really_off(run, monkeypatch):
    """What the second line refuses comes through here: so whatever does not is the third line's work."""
    sql = "SELECT range AS x FROM range(3)"
    assert sandbox.run_engine(GovernedQuery(sql, (), (), (), is_aggregate=True), run).code == "plan-unexpected"
    assert attack(run, sql, monkeypatch, is_locked=True).code == ""
    assert shown(run) == "x\n0\n1\n2\n"


@needs_cells
@pytest.mark.parametrize("is_locked", [True, False], ids=["locked", "unlocked"])
@pytest.mark.parametrize("sql", HOSTILE_SQL)
def test_no_query_reads_what_was_not_projected(sql, is_locked, run, host, monkeypatch):
    outcome = attack(run, sql.format(**host), monkeypatch, is_locked=is_locked)
    told = shown(run)
    assert SECRET_TEXT not in told + repr(outcome)
    assert "root:" not in told
    if is_locked:
        assert outcome.code in {"engine-failed", "plan-unexpected"}
    else:  # the cell lets a query look, and there is nothing to see
        assert outcome.code in {"", "engine-failed", "plan-unexpected", "engine-killed"}
        assert len(set(told.splitlines())) <= 2
    untouched(host)


@needs_cells
@pytest.mark.parametrize("is_locked", [True, False], ids=["locked", "unlocked"])
@pytest.mark.parametrize("statement", HOSTILE_STATEMENTS)
def test_no_statement_writes_or_loads_anything(statement, is_locked, run, host, monkeypatch):
    """The statement stands where the engine would run a stage: nothing wraps it."""
    unlocked = UNLOCKED if not is_locked else ""
    hostile = f"""
def run(request):
    engine, _ = child.open_engine(request)
    engine.execute({statement.format(**host)!r})
    child.os.stat("/job/outbox/result.csv")
    return {{"rows": 0, "columns": [], "groups": 0, "units": 0, "members": 0, "of_members": 0, "negative": False}}
child.run = run
"""
    monkeypatch.setattr(
        sandbox, "start_line",
        lambda module, folders: UNCHECKED.format(folders=["/job", PACKAGES], unlocked=unlocked + hostile),
    )  # fmt: skip
    outcome = sandbox.run_engine(GovernedQuery("SELECT 1", (), (), (), is_aggregate=True), run)
    if is_locked and not statement.startswith(("CHECKPOINT", "USE")):
        assert outcome.code == "engine-failed"
    assert shown(run) == ""
    assert {path.name for path in run.outbox.iterdir()} <= {"result.csv"}
    untouched(host)


@needs_cells
def test_the_child_refuses_to_start_another_program(run, monkeypatch):
    line = (
        "import sys; sys.path[:0] = ['/job', '/image/packages']\n"
        "from gongshu.compute.adapters import child\nimport json, os, subprocess\n"
        "def answer(request):\n"
        "    try: os.fork(); return {'code': 'forked'}\n"
        "    except OSError: pass\n"
        "    try: os.execv('/image/python/bin/python3', ['python3', '-c', '1'])\n"
        "    except OSError: return {'code': 'alone'}\n"
        "child.answer = answer\nchild.main()\n"
    )
    monkeypatch.setattr(sandbox, "start_line", lambda module, folders: line)
    assert sandbox.run_engine(GovernedQuery("SELECT 1", (), (), (), is_aggregate=True), run).code == "alone"


def test_the_mark_of_a_projection_cannot_be_forged():
    marks = {"(CAST('secret-mark' AS VARCHAR) = CAST('secret-mark' AS VARCHAR))": "t"}
    scan = {"name": "READ_PARQUET", "children": []}

    def above(condition, child_node=scan):
        return {"name": "FILTER", "children": [child_node], "extra_info": {"Expressions": condition}}

    good = next(iter(marks))
    assert child._marked(above(good), marks) == "t"
    for other in ("", "true", "('t' = 't')", [good], f"{good} AND true"):
        assert child._marked(above(str(other)), marks) is None
    assert child._marked(above(good, {"name": "READ_CSV", "children": []}), marks) is None
    assert child._marked(scan, marks) is None


@pytest.mark.parametrize(
    "printed",
    [
        b"",
        b"[]",
        b"{}",
        b"7",
        b'{"rows": 1}',
        b'{"rows": "x", "columns": [], "groups": {}}',
        b"\xff" * 9,
        b'{"rows": 1e999}',
    ],
)
def test_whatever_a_child_prints_instead_of_its_answer_ends_the_job(printed):
    ended = sandbox.Ended(exit_code=0, printed=printed, exceeded="")
    assert sandbox._outcome(ended, ()).code == "engine-killed"

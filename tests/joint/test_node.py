"""What the node may see and import, and how it places keys. Each probe runs in the node's own environment."""

import ast
import json
import subprocess
from pathlib import Path

from gongshu.compute.adapters.joint import party
from gongshu.compute.adapters.joint.environment import PROJECT
from gongshu.compute.types import JointKind

OURS = f"{party.PACKAGE.replace('/', '.')}"
PLACING = """
import json, os
from gongshu.compute.adapters.joint.node import placing
faults = []
for rows_valued, rows_other, rounds in ((10, 10, 60), (10, 5_000, 20), (1_000, 10, 60), (20_000, 30_000, 2)):
    shape = placing.shape_of(rows_valued, rows_other)
    for _ in range(rounds):
        salt, names = os.urandom(32), [os.urandom(16).hex().encode() for _ in range(max(rows_valued, rows_other))]
        valued, other = names[:rows_valued], names[:rows_other]
        marks = placing.marks_of(valued, salt, 0, shape.region)
        once = placing.place_once(marks, shape)
        held = [(place, row) for place, row in enumerate(once.tolist()) if row >= 0]
        if sorted(row for _, row in held) != list(range(rows_valued)):
            faults.append("a key is lost or doubled")
        if any(place not in marks.places[:, row] for place, row in held):
            faults.append("a key lies where it does not belong")
        table = placing.place_thrice(placing.marks_of(other, salt, 0, shape.region), shape)
        met = sum(int(row in table[:, place]) for place, row in held)
        if met != min(rows_valued, rows_other):
            faults.append("equal keys do not meet once")
print(json.dumps(faults))
"""
PROBE = """
import json, os, socket
seen = {path: os.path.exists(path) for path in %s}
try:
    open("/usr/probe", "w")
    writes = True
except OSError:
    writes = False
print(json.dumps([seen, writes, os.listdir("/tmp"), sorted(os.environ)]))
"""


def test_equal_keys_meet_in_exactly_one_bin_under_any_salt(environment):
    done = subprocess.run(
        [environment.python, "-c", PLACING],
        env={"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == []


def test_the_node_sees_its_scratch_and_outbox_and_no_other_file(pair, agreed):
    run = pair.bring(0, agreed(JointKind.SUMS), [("K", None)])
    run.outbox.mkdir()
    run.scratch.mkdir()
    (run.scratch / "keys.csv").touch()
    hidden = [str(run.keys), str(PROJECT / "pyproject.toml"), "/etc/passwd", "/home", "/var", "/etc/shadow"]
    *command, _ = party._command(run, pair.station(0))
    done = subprocess.run([*command, PROBE % hidden], capture_output=True, text=True, check=True)
    seen, writes, scratch, names = json.loads(done.stdout)
    assert not any(seen.values())
    assert not writes
    # Where the project itself lies in /tmp, the way to its environment is there too.
    way = PROJECT.relative_to("/tmp").parts[:1] if PROJECT.is_relative_to("/tmp") else ()
    assert set(scratch) - set(way) == {"keys.csv"}
    assert set(names) <= {"LANG", "PATH", "JAX_PLATFORMS", "HOME", "PWD", "LC_CTYPE"}


def test_the_node_imports_nothing_else_of_ours():
    for path in party.NODE.glob("*.py"):
        for node in ast.walk(ast.parse(Path(path).read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert all(name.startswith(OURS) for name in names if name.startswith("gongshu")), path.name

"""The programs of the developers' page run in a cell as they are written."""

import re
from pathlib import Path

import duckdb
import pytest

from gongshu.compute.adapters import programs as cells
from tests import programs

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "developer.md"
PROGRAMS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
WRITTEN = re.compile(r'job\.write_\w+\("([^"]+)"')


@pytest.mark.skipif(not cells.has_namespaces(), reason="this machine has no user namespaces")
@pytest.mark.parametrize("code", PROGRAMS)
def test_a_program_runs_as_written(code, tmp_path):
    outbox, relation = tmp_path / "outbox", tmp_path / "enterprise.parquet"
    outbox.mkdir()
    made = 'SELECT \'地区\' || (i % 5) AS "地区", i AS "注册资本" FROM range(100) AS r(i)'
    duckdb.sql(made).write_parquet(str(relation))
    image = cells.find_job_image()
    assert image is not None, "run `make setup-job`"
    outputs = tuple(WRITTEN.findall(code))
    given = cells.ProgramRun(
        image, code, {"enterprise": relation}, outputs, programs.LIMITS, programs.PRINTED_BYTES_MAX, tmp_path, outbox
    )
    outcome = cells.run_program(given)
    assert (outcome.code, outcome.printed) == ("", "")
    assert {path.name for path in outbox.iterdir()} == set(outputs)


def test_there_is_a_program():
    assert PROGRAMS
    assert all(WRITTEN.findall(code) for code in PROGRAMS)

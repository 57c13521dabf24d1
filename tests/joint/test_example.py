"""The example of two installations runs as written, and its answer is that of plain Python over both tables."""

import csv
import json
import subprocess
import sys
from decimal import Decimal

import duckdb
import pytest

from gongshu.compute.adapters.joint.environment import PROJECT

CODE, BALANCE = "统一社会信用代码", "贷款余额"


@pytest.mark.slow
def test_the_example_gives_the_sum_that_plain_python_gives(environment, tmp_path):
    folder = tmp_path / "two"
    done = subprocess.run(
        [sys.executable, "-m", "examples.joint", str(folder)], cwd=PROJECT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    told = json.loads(done.stdout)
    assert told["bank"] == {"status": "succeeded", "failure": "", "files": []}
    assert [file["name"] for file in told["city"]["files"]] == ["result.parquet", "result.csv"]
    assert not list((folder / "bank" / "outputs").glob("*"))
    with duckdb.connect() as engine:
        parts = str(folder / "city" / "data" / "*" / "v1" / "part-*.parquet")
        registered = {
            code for (code,) in engine.execute(f'SELECT DISTINCT "{CODE}" FROM read_parquet(?)', [parts]).fetchall()
        }
        (result,) = (folder / "city" / "outputs").glob("*/result.parquet")
        rows = engine.read_parquet(str(result)).fetchall()
    with (folder / "loans" / "loans.csv").open(encoding="utf-8", newline="") as file:
        loans = {row[CODE]: Decimal(row[BALANCE]) for row in csv.DictReader(file)}
    shared = registered & loans.keys()
    assert rows == [(len(shared), sum((loans[code] for code in shared), Decimal(0)))]
    assert 0 < len(shared) < len(loans) + 1

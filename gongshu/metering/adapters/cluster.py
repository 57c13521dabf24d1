"""Counts over tables by a Spark cluster (Spark Connect), where there are more records than one machine should read.

The same counts as ``tables.count_spans``, to the record. The tables are linked or copied into the folder that both sides reach;
there is nothing in them that was asked or answered.
"""

import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from gongshu.base.site import SparkCluster
from gongshu.metering.adapters.tables import SpanCount

PROJECT = Path(__file__).resolve().parents[3]
PROGRAM = Path(__file__).with_name("counting.py")
ASK_SECONDS = 60
COUNT_SECONDS_MAX = 3_600


class ClusterFailed(Exception):  # noqa: N818 - a circumstance
    """The cluster did not count; its message, which may name files, goes nowhere."""


@functools.cache
def find_python() -> Path | None:
    """Return an interpreter with Spark's client: our own with the extra ``spark``, or that of ``make setup-spark``."""
    for python in (Path(sys.executable), PROJECT / ".venv-spark" / "bin" / "python"):
        with suppress(OSError, subprocess.SubprocessError):
            command = [str(python), "-I", "-c", "import pyspark.sql.connect.proto, pyarrow"]
            subprocess.run(command, capture_output=True, timeout=ASK_SECONDS, check=True, env={})  # noqa: S603 - our own
            return python
    return None


def count_spans(
    cluster: SparkCluster, python: Path, paths: Sequence[Path], bounds: Sequence[datetime], contract: str = ""
) -> tuple[SpanCount, ...]:
    """Count as ``tables.count_spans`` does, on ``cluster``; raise ``ClusterFailed`` when it cannot."""
    if not paths or len(bounds) < 2:
        return ()
    marks = [bound.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds") for bound in bounds]
    asked = {
        "remote": cluster.remote, "urls": [_shared(cluster, path) for path in paths], "marks": marks, "contract": contract,
    }  # fmt: skip
    try:
        done = subprocess.run(  # noqa: S603 - our own program
            [str(python), "-I", "-X", "utf8", str(PROGRAM)], input=json.dumps(asked).encode(), capture_output=True,
            timeout=COUNT_SECONDS_MAX, check=True, cwd="/", env={"LANG": "C.UTF-8"},
        )  # fmt: skip
        return tuple(SpanCount(*row) for row in json.loads(done.stdout))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise ClusterFailed(type(error).__name__) from None


def _shared(cluster: SparkCluster, path: Path) -> str:
    """Put a table where the cluster reads it, and return its URL there. Tables never change, so one that is there stays."""
    folder = cluster.folder / "usage"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / path.name
    if not target.exists() or target.stat().st_size != path.stat().st_size:
        draft = folder / f".{path.name}.{os.getpid()}"
        draft.unlink(missing_ok=True)
        try:
            os.link(path, draft)
        except OSError:
            shutil.copyfile(path, draft)
        draft.replace(target)
    return f"{cluster.folder_url}/usage/{path.name}"

"""A real standalone cluster for these tests: a master and two workers on loopback, stopped when the last test is over."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gongshu.compute.adapters.spark import Client
from gongshu.metering.service import find_spark_python
from tests.compared import Comparison
from tools.spark_cluster import Cluster, find_home, running_cluster

RUNS_ALL = os.environ.get("GONGSHU_TEST_SPARK") == "all"
"""Set by ``make test-spark``; without it only a part runs, so that ``make test`` stays quick."""

REMOTE = os.environ.get("GONGSHU_TEST_SPARK_REMOTE", "")
"""A cluster that runs already and sees this machine's files (``tools/spark_cluster.py``): saves its start while one works."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = ""
    if find_home() is None or find_spark_python() is None:
        reason = "Spark is not installed; run: make setup-spark, then: make test-spark"
    elif shutil.which("java") is None:
        reason = "Java is missing; run: make setup-spark, then: make test-spark"
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))
        elif not RUNS_ALL and item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="takes minutes; run: make test-spark"))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    if REMOTE:
        yield Cluster(REMOTE)
        return
    with running_cluster() as running:
        yield running


@pytest.fixture(scope="session")
def client() -> Iterator[Client]:
    python = find_spark_python()
    assert python is not None
    with Client(python) as started:
        yield started


@pytest.fixture
def comparison(cluster: Cluster, client: Client, tmp_path: Path) -> Iterator[Comparison]:
    with Comparison(cluster.remote, client, tmp_path) as made:
        yield made

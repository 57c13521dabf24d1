"""Usage tables counted on a real cluster: the same counts as here, and here where the cluster is away."""

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gongshu.base.ids import ContractId, KeyId, ProductId
from gongshu.base.site import Parameters, Site, SparkCluster
from gongshu.metering import service as metering
from gongshu.metering.adapters import cluster as counting
from gongshu.metering.adapters import tables
from gongshu.metering.types import ResultCode, StoredRecord
from tools.spark_cluster import Cluster, free_port

START = datetime(2026, 10, 31, 16, tzinfo=UTC)  # midnight in China
BOUNDS = tuple(START + timedelta(days=days) for days in (0, 1, 7, 30))
SEED = 20261121
CONTRACTS = [ContractId(f"contract-{number}") for number in range(3)]


class Little:
    """Parameters of a city where any table is too much for one machine."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters

    def number(self, key: str, day: object) -> int:
        """Return 1 byte as the least that the cluster counts."""
        return 1 if key == "metering.cluster_bytes_min" else self._parameters.number(key, day)


@pytest.fixture
def metered(sqlite_site: Site, tmp_path: Path) -> Site:
    """Give a site with collected usage of two gateways, some of it on the very bounds."""
    draw = random.Random(SEED)
    for gateway in ("g1", "g2"):
        asyncio.run(_record(sqlite_site, gateway, draw))
    metering.collect(sqlite_site)
    return sqlite_site


async def _record(site: Site, gateway: str, draw: random.Random) -> None:
    meter = metering.open_meter(site.home, gateway, lambda: START)
    moments = [*BOUNDS, *(bound - timedelta(microseconds=1) for bound in BOUNDS)]
    moments += [START + timedelta(seconds=draw.randrange(40 * 86_400)) for _ in range(400)]
    for number, moment in enumerate(moments):
        result = draw.choice(list(ResultCode))
        contract = draw.choice(CONTRACTS)
        record = StoredRecord(
            moment, f"{gateway}-{number}", "d", contract, f"terms-{contract}", ProductId("p"), KeyId("k"), 1, result, "",
            draw.random() < 0.5,
        )  # fmt: skip
        _, durable = meter.append(record)
        assert not await durable
    await meter.close()


def test_the_cluster_counts_what_one_machine_counts(metered: Site, cluster: Cluster, tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    connected = replace(
        metered, spark=SparkCluster(cluster.remote, folder, folder.as_uri()), parameters=Little(metered.parameters)
    )
    here = metering.count_spans(metered, BOUNDS)
    assert sum(count.records for count in here) > 400
    assert metering.count_spans(connected, BOUNDS) == here
    assert len(list((folder / "usage").iterdir())) >= 2  # the cluster was asked
    one = metering.count_spans(metered, BOUNDS, CONTRACTS[1])
    assert metering.count_spans(connected, BOUNDS, CONTRACTS[1]) == one
    assert {count.contract for count in one} == {CONTRACTS[1]}


def test_a_cluster_that_is_away_changes_no_count(metered: Site, tmp_path: Path) -> None:
    away = SparkCluster(f"sc://127.0.0.1:{free_port()}", tmp_path / "shared", (tmp_path / "shared").as_uri())
    python, paths = counting.find_python(), sorted(metered.home.glob("usage/*/*.parquet"))
    assert python is not None
    with pytest.raises(counting.ClusterFailed):
        counting.count_spans(away, python, paths, BOUNDS)
    disconnected = replace(metered, spark=away, parameters=Little(metered.parameters))
    assert metering.count_spans(disconnected, BOUNDS) == tables.count_spans(paths, BOUNDS)

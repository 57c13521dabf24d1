"""The consumer's client and products of every kind: files through kills and cuts, signed or not; typed answers."""

import asyncio
import hashlib
from datetime import UTC, datetime

import httpx
import polars as pl
import pytest

from gongshu.base.digest import sha256_hex
from gongshu.base.ids import KeyId
from gongshu.catalog.types import DataType
from gongshu.client import AsyncClient, Client, Refused, Unanswered
from gongshu.compute import service as compute
from gongshu.compute.types import Frequency, QueryDefinition, SeriesDefinition, StatementParameter
from gongshu.delivery.service.signatures import opener_of, signing_secret
from gongshu.products.types import Definition, ProductKind
from tests.gateways import PRODUCT, PURPOSE, gateway_process, policy
from tests.http.test_client import served
from tests.served import ServedWorld, secret_of, write_table

KEY = "key-9"
LARGE = "SELECT i AS number, md5(CAST(i AS VARCHAR)) AS mark FROM range(40000) t(i)"


def world_of(home, file, kind=ProductKind.TABLE, definition=None) -> ServedWorld:
    made = ServedWorld(home, lambda: datetime.now(UTC), file=file, kind=kind, definition=definition or Definition())
    made.policy = policy(calls_per_second_max=1_000_000)
    ids = {sha256_hex(secret_of(0).encode()): KeyId("key-1"), sha256_hex(opener_of(KEY)): KeyId(KEY)}
    made.contract_changes = {"key_ids": ids, "signing_keys": frozenset({KeyId(KEY)})}
    made.publish()
    return made


@pytest.fixture
def world(home):
    return world_of(home, write_table(home / "releases" / "release-1" / "result.parquet", LARGE))


def account(world, *, is_signed=False):
    given = {"product": PRODUCT, "purpose": PURPOSE}
    return given | ({"key": signing_secret(world.keys, KEY), "key_id": KEY} if is_signed else {"key": secret_of(0)})


class Cut(httpx.BaseTransport):
    """Breaks the connection after so many bytes of each answer, a few times."""

    def __init__(self, bytes_max: int, times: int) -> None:
        self.inner, self.bytes_max, self.left, self.ranges = httpx.HTTPTransport(), bytes_max, times, []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.ranges.append(request.headers.get("range", ""))
        answer = self.inner.handle_request(request)
        if self.left <= 0:
            return answer
        self.left -= 1
        return httpx.Response(answer.status_code, headers=answer.headers, stream=_Torn(answer.stream, self.bytes_max))

    def close(self) -> None:
        self.inner.close()


class _Torn(httpx.SyncByteStream):
    def __init__(self, stream, bytes_max: int) -> None:
        self.stream, self.bytes_max = stream, bytes_max

    def __iter__(self):
        sent = 0
        for chunk in self.stream:
            yield chunk[: self.bytes_max - sent]
            sent += len(chunk)
            if sent >= self.bytes_max:
                raise httpx.ReadError("cut")

    def close(self) -> None:
        self.stream.close()


@pytest.fixture
def no_waiting(monkeypatch):
    """Attempts follow each other at once."""
    monkeypatch.setattr("gongshu.client.wait_seconds", lambda _attempt, _told: 0.0)


@pytest.mark.parametrize("is_signed", [False, True])
def test_a_download_that_is_cut_three_times_arrives_whole_as_one_call(world, tmp_path, no_waiting, is_signed):
    with served(world) as url:
        cut = Cut(200_000, times=3)
        with Client(url, **account(world, is_signed=is_signed), transport=cut) as client:
            got = client.download(tmp_path / "table.csv")
    assert got.sha256 == hashlib.sha256(got.path.read_bytes()).hexdigest()
    assert got.receipt["file"]["sha256"] == got.sha256
    assert cut.ranges[0] == ""
    assert all(wanted.startswith("bytes=") for wanted in cut.ranges[1:])
    assert len(pl.read_csv(got.path)) == 40_000
    assert [path.name for path in tmp_path.glob("table*")] == ["table.csv"]
    assert [record.is_charged for record in world.records()] == [True]


def test_a_client_that_gave_up_goes_on_later_and_is_not_charged_again(world, tmp_path, no_waiting):
    with served(world) as url:
        with Client(url, **account(world), transport=Cut(100_000, times=99)) as client, pytest.raises(Unanswered):
            client.download(tmp_path / "table.csv")
        begun = (tmp_path / "table.csv.part").stat().st_size
        assert begun >= 400_000
        again = Cut(0, times=0)
        with Client(url, **account(world), transport=again) as client:
            got = client.download(tmp_path / "table.csv")
    assert again.ranges == [f"bytes={begun}-"]
    assert len(pl.read_csv(got.path)) == 40_000
    assert [record.is_charged for record in world.records()] == [True]


def test_a_part_that_is_not_what_was_sent_is_fetched_from_the_beginning(world, tmp_path, no_waiting):
    with served(world) as url:
        with Client(url, **account(world), transport=Cut(100_000, times=99)) as client, pytest.raises(Unanswered):
            client.download(tmp_path / "table.csv")
        part = tmp_path / "table.csv.part"
        part.write_bytes(b"x" + part.read_bytes()[1:])
        with Client(url, **account(world)) as client:
            got = client.download(tmp_path / "table.csv")
    assert got.sha256 == hashlib.sha256(got.path.read_bytes()).hexdigest()


def test_a_gateway_that_is_killed_in_the_middle_goes_on_after_its_restart(world, home, tmp_path, no_waiting):
    log = tmp_path / "gateway.log"
    with gateway_process(home, log) as running:
        url = f"http://127.0.0.1:{running.port}"
        cut = Cut(150_000, times=99)
        with Client(url, **account(world), transport=cut) as client, pytest.raises(Unanswered):
            client.download(tmp_path / "table.csv")
        running.process.kill()
        running.process.join()
    for spooled in (home / "spool" / "g1").glob("*.csv"):
        spooled.unlink()  # it is made again, the same
    with gateway_process(home, log) as running, Client(f"http://127.0.0.1:{running.port}", **account(world)) as client:
        got = client.download(tmp_path / "table.csv")
    assert got.sha256 == got.receipt["file"]["sha256"] == hashlib.sha256(got.path.read_bytes()).hexdigest()
    assert [record.is_charged for record in world.records()] == [True]


def test_a_signed_request_for_one_format_does_not_fetch_another(world, tmp_path):
    from gongshu.client import Account, request_of

    signer = Account("", **account(world, is_signed=True))
    with served(world) as url:
        path, headers = request_of(
            signer, "download?format=csv", "r1", b"", now=datetime.now(UTC).timestamp(), nonce="n" * 16, method="GET"
        )
        changed = httpx.get(url + path.replace("csv", "xlsx"), headers=headers)
        posted = httpx.post(url + path.partition("?")[0], headers=headers, content=b'{"format":"csv"}')
        assert [answer.json()["code"] for answer in (changed, posted)] == ["signature-invalid"] * 2
        assert httpx.get(url + path, headers=headers).status_code == 200
    assert sum(record.is_charged for record in world.records()) == 1


def test_a_refused_download_says_why_and_leaves_nothing_charged(world, tmp_path):
    with served(world) as url, Client(url, **account(world)) as client, pytest.raises(Refused) as refused:
        client.download(tmp_path / "table.exe", "exe")
    assert refused.value.code == "format-unknown"
    assert not any(record.is_charged for record in world.records())


def test_the_asynchronous_client_downloads_too(world, tmp_path):
    async def run(url):
        async with AsyncClient(url, **account(world)) as client:
            return await client.download(tmp_path / "table.parquet", "parquet")

    with served(world) as url:
        got = asyncio.run(run(url))
    assert len(pl.read_parquet(got.path)) == 40_000


def test_query_and_series_return_what_was_answered(home):
    file = write_table(
        home / "releases" / "release-1" / "result.parquet",
        "SELECT '2026-0' || (1 + i) AS month, 100 + i AS value FROM range(6) t(i)",
    )
    statement = QueryDefinition(
        "SELECT month, value FROM released WHERE value > $least ORDER BY value",
        (StatementParameter("least", DataType.INTEGER, "100", 9),),
    )
    world = world_of(
        home, file, ProductKind.QUERY, Definition(query=compute.complete_query(file, statement).value_or_raise())
    )
    with served(world) as url, Client(url, **account(world)) as client:
        assert client.query({"least": "104"})["rows"] == [["2026-06", 105]]
        with pytest.raises(Refused) as refused:
            client.query({"least": "many"})
        assert refused.value.code == "parameter-invalid"
    series = SeriesDefinition("month", "value", Frequency.MONTH, "点")
    world.kind, world.definition = (
        ProductKind.INDEX,
        Definition(series=compute.complete_series(file, series).value_or_raise()),
    )
    world.publish()
    with served(world) as url, Client(url, **account(world)) as client:
        assert client.series("2026-05")["points"] == [["2026-05", 104.0], ["2026-06", 105.0]]
        assert len(client.series()["points"]) == 6

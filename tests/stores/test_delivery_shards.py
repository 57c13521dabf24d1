"""The snapshot in shards: everything is found again, a small change touches little, what is not named is removed."""

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from gongshu.base.digest import sha256_hex
from gongshu.base.ids import ContractId, KeyId
from gongshu.delivery import adapters
from gongshu.delivery.service.opening import Opening
from gongshu.delivery.types import Snapshot, SnapshotContract
from tests.gateways import START, World

SEED = b"s" * 32
CONTRACTS = 2_000


def contract(number: int, template: SnapshotContract) -> SnapshotContract:
    """Return one of many contracts, opened by a secret of its own."""
    return replace(
        template, id=ContractId(f"contract-{number}"), key_ids={sha256_hex(f"secret-{number}".encode()): KeyId(f"k{number}")}
    )  # fmt: skip


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    world = World(tmp_path / "world", lambda: START)
    made = world.snapshot()
    return replace(made, contracts=tuple(contract(i, made.contracts[0]) for i in range(CONTRACTS)))


def key(number: int) -> bytes:
    return adapters.key_of_contract(sha256_hex(f"secret-{number}".encode()))


def files(home: Path) -> set[str]:
    return {path.name for path in (home / "gateway" / "shards").iterdir()}


def test_every_contract_is_found_by_its_key_and_nothing_by_another(tmp_path: Path, snapshot: Snapshot) -> None:
    head = adapters.write_snapshot(tmp_path, snapshot, SEED)
    assert len(head.contracts) == 8
    opening = Opening(tmp_path)
    opening.adopt(head)
    for number in range(0, CONTRACTS, 97):
        found = opening.find(key(number))
        assert found is not None
        assert (found.contract.id, found.key, found.product) == (
            f"contract-{number}",
            f"k{number}",
            snapshot.products[0],
        )
    assert opening.find(key(CONTRACTS)) is None
    assert {c.id for c in adapters.read_snapshot(tmp_path).contracts} == {c.id for c in snapshot.contracts}


def test_a_small_change_writes_one_shard_and_the_head(tmp_path: Path, snapshot: Snapshot) -> None:
    head = adapters.write_snapshot(tmp_path, snapshot, SEED)
    before = files(tmp_path)
    stopped = replace(snapshot.contracts[7], stop_code="grant-ended")
    shards = adapters.change_shards(tmp_path, head.contracts, {key(7): stopped, key(8): None})
    assert len(files(tmp_path) - before) <= 2
    later = replace(head, number=head.number + 1, contracts=shards)
    adapters.write_head(tmp_path, later, SEED)
    opening = Opening(tmp_path)
    opening.adopt(head)
    assert opening.find(key(7)).contract.stop_code == ""
    opening.adopt(later)
    assert opening.find(key(7)).contract.stop_code == "grant-ended"
    assert opening.find(key(8)) is None
    assert opening.find(key(9)).contract.id == "contract-9"


def test_the_last_record_of_a_shard_can_go(tmp_path: Path, snapshot: Snapshot) -> None:
    head = adapters.write_snapshot(tmp_path, replace(snapshot, contracts=snapshot.contracts[:1]), SEED)
    assert adapters.change_shards(tmp_path, head.contracts, {key(0): None}) == ("",)


def test_old_shards_go_and_those_in_use_or_just_replaced_stay(tmp_path: Path, snapshot: Snapshot) -> None:
    head = adapters.write_snapshot(tmp_path, snapshot, SEED)
    shards = adapters.change_shards(tmp_path, head.contracts, {key(7): None})
    later = replace(head, number=2, issued_at=START + timedelta(seconds=5), contracts=shards)
    adapters.write_head(tmp_path, later, SEED)
    adapters.drop_shards(tmp_path, later)
    named = {*head.contracts, *shards, *head.products}
    assert files(tmp_path) == named
    for path in (tmp_path / "gateway" / "shards").iterdir():
        os.utime(path, (0, 0))
    adapters.drop_shards(tmp_path, later)
    assert files(tmp_path) == {*shards, *head.products}


@pytest.mark.parametrize(
    ("records", "bits"), [(0, 0), (1, 0), (256, 0), (257, 1), (1_000, 2), (10**6, 12), (10**9, 12)]
)
def test_shards_grow_with_the_records_up_to_a_limit(records: int, bits: int) -> None:
    assert adapters.shard_bits(records) == bits
    assert 0 <= adapters.shard_of(b"\xff" * 32, 1 << bits) < 1 << bits

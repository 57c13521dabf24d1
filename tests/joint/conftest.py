"""Two parties on one machine: each its own process, folder and port of 127.0.0.1, as on two machines."""

import os
import socket
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from gongshu.base.digest import Ref
from gongshu.base.ids import PartyId
from gongshu.catalog.types import DataType
from gongshu.compute.adapters.joint import identity, keys, party
from gongshu.compute.adapters.joint.environment import Environment, default_folder, find_environment
from gongshu.compute.rules import joint
from gongshu.compute.types import JointKind, JointLimits, JointSide, JointTask
from gongshu.policies.types import Thresholds

GOVERNMENT, BANK = PartyId("government"), PartyId("bank")
NONCE = "5a" * joint.NONCE_BYTES
INSTALL = "joint computing is not installed; run: make setup-joint"
LIMITS = JointLimits(connect_seconds=60, silence_seconds=joint.SILENCE_SECONDS_MIN, runtime_seconds=300)
MEMORY_BYTES_MAX = 6 << 30


def task(kind: JointKind, learners: tuple[PartyId, ...] = (BANK,)) -> JointTask:
    """Return a task between the bank, which asks, and the government, which has the values."""
    value = "amount" if kind is JointKind.SUMS else ""
    return JointTask(
        id="joint-1", kind=kind, purpose="inclusive finance",
        sides=(
            JointSide(BANK, Ref("entitlement", "e1", "d"), "customers", "code", 1_000_000),
            JointSide(GOVERNMENT, Ref("entitlement", "e2", "d"), "taxes", "code", 1_000_000, value),
        ),
        learners=learners, key_type=DataType.TEXT, thresholds=Thresholds(10, 10, 2, 90), nonce=NONCE,
        valid_until=datetime(2100, 1, 1, tzinfo=UTC), limits=LIMITS, protocol=joint.PROTOCOL, library=joint.LIBRARY,
    )  # fmt: skip


RUNS_ALL = os.environ.get("GONGSHU_TEST_JOINT") == "all"
"""Set by ``make test-joint``; without it only a part runs, so that ``make test`` stays quick."""

EVERYDAY = frozenset({
    "test_a_sum_goes_the_whole_way_by_command_line_and_workers",
    "test_equal_keys_meet_in_exactly_one_bin_under_any_salt",
    "test_parties_with_each_others_certificates_meet",
    "test_spellings_of_one_key_meet_and_only_the_learner_knows",
    "test_the_bar_follows_the_run_and_ends_with_it",
    "test_the_node_imports_nothing_else_of_ours",
    "test_the_node_sees_its_scratch_and_outbox_and_no_other_file",
    "test_two_developers_agree_on_a_task_by_the_pages",
    "test_two_documents_are_refused_on_both_sides_before_a_key_is_touched",
    "test_what_is_wrong_is_said_in_the_form",
})  # fmt: skip
"""What ``make test`` runs of this folder; the first of the cases of a parametrised test."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the rest to ``make test-joint``, visibly."""
    if RUNS_ALL:
        return
    seen: set[str] = set()
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        name = getattr(item, "originalname", item.name)
        if name in EVERYDAY and name not in seen:
            seen.add(name)
        else:
            item.add_marker(pytest.mark.skip(reason="takes minutes; run: make test-joint"))


@pytest.fixture(scope="session")
def environment() -> Environment:
    """Give the environment with SPU; without it the test is skipped with the line that installs it."""
    found = find_environment(default_folder())
    if found is None:
        pytest.skip(INSTALL)
    return found


def free_ports() -> tuple[int, int]:
    """Return two ports of 127.0.0.1 that are free now."""
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


@dataclass
class Pair:
    """Two parties that can meet in ``folder``; ``progress`` keeps what each was told on the way."""

    environment: Environment
    folder: Path
    ports: tuple[int, int]
    progress: dict[int, list[party.Progress]] = field(default_factory=lambda: {0: [], 1: []})

    def station(self, side: int, certificates: party.Certificates | None = None) -> party.Station:
        """Return where a side runs, and what it shows to the peer."""
        listen, peer = (f"127.0.0.1:{self.ports[number]}" for number in (side, 1 - side))
        return party.Station(self.environment, listen, peer, certificates or self.certificates(side))

    def certificates(self, side: int, own: str = "", peer: str = "") -> party.Certificates:
        """Return the files of a side's identity and of the peer's certificate; names stand for secrets."""
        own, peer = own or f"side{side}", peer or f"side{1 - side}"
        paths = {name: self.folder / f"{name}.pem" for name in (own, peer)}
        for name, path in paths.items():
            secret = sha256(name.encode()).digest()
            path.write_text(identity.certificate(secret))
            path.with_suffix(".key").write_bytes(identity.private_key(secret))
        return party.Certificates(paths[own], paths[own].with_suffix(".key"), paths[peer])

    def bring(self, side: int, agreed: JointTask, rows: Iterable[tuple[object, object]]) -> party.PartyRun:
        """Prepare a side's key file as the trusted side does."""
        record = joint.recorder(agreed, side)
        file = self.folder / f"keys{side}.csv"
        made = [found for key, value in rows if (found := record(key, value)) is not None]
        keys.write_keys(made, file, has_values=bool(agreed.sides[side].value_column), rows_max=1_000_000)
        return party.PartyRun(
            agreed.document, side, file, self.outbox(side), self.folder / f"scratch{side}",
            agreed.limits.connect_seconds, agreed.limits.runtime_seconds, MEMORY_BYTES_MAX,
        )  # fmt: skip

    def outbox(self, side: int) -> Path:
        """Return where a side's node may write."""
        return self.folder / f"outbox{side}"

    def meet(self, first: party.PartyRun, second: party.PartyRun) -> tuple[party.Told, party.Told]:
        """Run both sides at once and return what each was told."""

        def run(one: party.PartyRun) -> party.Told:
            return party.run_party(one, self.station(one.side), self.progress[one.side].append)

        with ThreadPoolExecutor(2) as both:
            told = both.map(run, (first, second))
            return next(told), next(told)

    def assert_nothing_is_left(self) -> None:
        """No result, no scratch, on either side."""
        assert not [path for side in (0, 1) if self.outbox(side).exists() for path in self.outbox(side).iterdir()]
        assert not list(self.folder.glob("scratch*"))


@pytest.fixture
def pair(environment: Environment, tmp_path: Path) -> Pair:
    """Give two parties."""
    return Pair(environment, tmp_path, free_ports())


@pytest.fixture
def agreed() -> Callable[..., JointTask]:
    """Give the maker of tasks; keyword arguments replace fields."""

    def make(kind: JointKind, learners: tuple[PartyId, ...] = (BANK,), **changes: object) -> JointTask:
        return replace(task(kind, learners), **changes)

    return make

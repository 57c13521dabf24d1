"""Gateways are registered and become members; the control plane believes signed messages once, and only right ones."""

import hashlib
import os
from dataclasses import replace
from threading import Timer

import msgspec
import pytest
from starlette.testclient import TestClient

from gongshu.access.types import Actor, Role
from gongshu.audit import service as audit
from gongshu.base.decisions import Refused
from gongshu.base.ids import PartyId, PersonId
from gongshu.base.paging import PageRequest
from gongshu.delivery.api.gateway import _patiently, app_for
from gongshu.gateways import service as gateways
from gongshu.gateways.adapters import files, messages
from gongshu.gateways.service.control import Control
from gongshu.gateways.types import Beat, FileRequest, HandOver, HandOverRequest, Lease, SentSegment
from gongshu.metering.adapters import segments
from gongshu.metering.service import MeterLocked
from gongshu.server.asgi import create_app
from tests.gateways import World
from tests.spread import ADMINISTRATOR, quick

AGENCY = Actor(PersonId("agency"), PartyId("agency"), frozenset({Role.IMPLEMENTING_AGENCY}))
BANK = Actor(PersonId("bank"), PartyId("bank"), frozenset({Role.CONSUMER}))
AUDITOR = Actor(PersonId("auditor"), PartyId("audit"), frozenset({Role.AUDITOR}))


class Steady:
    """A clock of leases that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def site(sqlite_site):
    return replace(sqlite_site, parameters=quick(sqlite_site.parameters))


def register(site, name="g2", address="http://127.0.0.1:9", key=""):
    return gateways.register_gateway(site, ADMINISTRATOR, name, address, key)


def beat(site, name="g2", **changes):
    changes = {
        "incarnation": "run-1", "number": 1, "nonce": "n" * 16, "epoch": 0, "last_segment": 0,
        "keys_check": messages.keys_check(site.keys),
    } | changes  # fmt: skip
    return signed(site, "beat", Beat(name=name, **changes), name)


def signed(site, kind, message, name="g2"):
    return messages.seal(kind, name, message, gateways.gateway_key(site.keys, name))


def opened(site, kind, data, of):
    key = messages.public_key_of(site.keys.secret("snapshot-signing"))
    return messages.unseal(kind, messages.signer_of(data), key, of)


def refusals(action) -> list[str]:
    with pytest.raises(Refused) as caught:
        action()
    return [reason.code for reason in caught.value.reasons]


# -------------------------------------------------------------------------------------------------------- the registry


def test_a_gateway_is_registered_once(site):
    register(site)
    assert refusals(lambda: register(site)) == ["gateway-known"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": "G2"}, "gateway-name-wrong"),
        ({"name": "../g2"}, "gateway-name-wrong"),
        ({"address": "10.0.0.12"}, "gateway-address-wrong"),
        ({"address": "ftp://10.0.0.12"}, "gateway-address-wrong"),
        ({"key": "c2hvcnQ="}, "gateway-key-wrong"),
        ({"key": "not base64!"}, "gateway-key-wrong"),
    ],
)
def test_what_is_wrong_with_a_gateway_is_said(site, changes, code):
    assert refusals(lambda: register(site, **changes)) == [code]


def test_registering_and_its_refusal_are_in_the_log(site):
    register(site)
    assert refusals(lambda: gateways.register_gateway(site, BANK, "g3", "http://127.0.0.1:9")) == ["permission-missing"]
    entries = audit.list_entries(site, AUDITOR, PageRequest()).rows
    assert [entry.action for entry in entries if entry.action.startswith("gateway.")] == ["gateway.register"] * 2


def test_a_consumer_does_not_see_the_gateways(site):
    register(site)
    assert refusals(lambda: gateways.list_gateways(site, BANK)) == ["permission-missing"]
    assert [one.name for one in gateways.list_gateways(site, AGENCY).gateways] == ["g2"]


def test_a_gateway_that_would_run_alone_is_refused_where_contracts_are_spread(site):
    world = World(site.home, site.clock)
    before = app_for(lambda: None, site.home, site.clock, world.keys, "g1", frozenset(), "")
    assert before is not None
    register(site)
    run = lambda: app_for(lambda: None, site.home, site.clock, world.keys, "g1", frozenset(), "")  # noqa: E731
    assert refusals(run) == ["control-needed"]


# --------------------------------------------------------------------------------------------------------------- beats


def test_the_first_beat_makes_a_member_and_grants_a_lease(site):
    register(site)
    lease = opened(site, "lease", Control(site).answer("beat", beat(site)), Lease)
    assert (lease.epoch, lease.seconds, lease.nonce) == (1, 3, "n" * 16)
    assert lease.view.names == ("g2",)
    shown = gateways.list_gateways(site, AGENCY, ("contract-1", "contract-2")).gateways[0]
    assert (shown.status, shown.contracts, shown.lease_seconds_left > 0) == ("member", 2, True)


def test_a_beat_is_believed_once(site):
    register(site)
    control = Control(site)
    control.answer("beat", beat(site, number=5))
    assert refusals(lambda: control.answer("beat", beat(site, number=5))) == ["beat-repeated"]
    assert refusals(lambda: control.answer("beat", beat(site, number=4))) == ["beat-repeated"]
    control.answer("beat", beat(site, number=1, incarnation="run-2"))


def test_a_gateway_with_other_secrets_or_without_its_usage_is_refused(site):
    register(site)
    assert refusals(lambda: Control(site).answer("beat", beat(site, keys_check="0" * 64))) == ["gateway-keys-differ"]
    folder = site.home / "usage" / "g2"
    folder.mkdir(parents=True)
    (folder / "g2-202611-00000007.seal.json").write_bytes(b"{}")
    assert refusals(lambda: Control(site).answer("beat", beat(site, last_segment=6))) == ["gateway-usage-missing"]
    Control(site).answer("beat", beat(site, last_segment=7))


@pytest.mark.parametrize("kind", ["beat", "hand-over", "file", "segment", "unheard-of"])
def test_a_message_that_is_not_signed_by_a_registered_gateway_is_refused(site, kind):
    register(site)
    control = Control(site)
    stranger = messages.seal(kind, "g2", Beat("g2", "r", 1, "n", 0, "", 0), b"\7" * 32)
    for data in (b"", b"\xc1", msgspec.msgpack.encode({"name": "g2"}), stranger, signed(site, kind, 1, "g9")):
        assert refusals(lambda data=data: control.answer(kind, data)) == ["gateway-unknown"]


def test_a_message_of_one_kind_does_not_pass_for_another(site):
    register(site)
    assert refusals(lambda: Control(site).answer("hand-over", beat(site))) == ["gateway-unknown"]


# ------------------------------------------------------------------------------------------------- silence and leaving


def test_a_silent_gateway_is_settled_only_when_its_process_has_ended(site):
    steady = Steady()
    for name in ("g1", "g2"):
        register(site, name)
    control = Control(site, steady)
    for name in ("g1", "g2"):
        control.answer("beat", beat(site, name))
    lock = segments.take_lock(site.home / "usage" / "g2")
    steady.now += 10
    control.answer("beat", beat(site, "g1", number=2))
    control.look_for_silent()
    assert statuses(site) == {"g1": "member", "g2": "member"}  # it is only cut off: its lock is held
    os.close(lock)
    control.look_for_silent()
    assert statuses(site) == {"g1": "member", "g2": "settled"}


def test_a_silent_gateway_with_its_disk_elsewhere_stays_until_somebody_decides(site, clock):
    register(site)
    steady = Steady()
    control = Control(site, steady)
    control.answer("beat", beat(site))
    steady.now += 1000
    control.look_for_silent()
    assert statuses(site) == {"g2": "member"}
    write_off = lambda: gateways.write_off_gateway(site, ADMINISTRATOR, "g2", "broken")  # noqa: E731
    assert refusals(write_off) == ["lease-runs"]
    clock.move(seconds=60)
    assert write_off().status == "written-off"
    lease = opened(site, "lease", control.answer("beat", beat(site, number=2)), Lease)
    assert lease.view.epoch == 3  # joined, written off, joined again
    assert statuses(site) == {"g2": "member"}


def test_a_gateway_that_left_is_a_member_no_more(site):
    register(site)
    control = Control(site)
    control.answer("beat", beat(site))
    lease = opened(site, "lease", control.answer("beat", beat(site, number=2, is_leaving=True, epoch=1)), Lease)
    assert lease.has_left
    assert lease.view.names == ()


def test_a_gateway_elsewhere_has_not_left_before_all_its_records_are_here(site):
    register(site)
    control = Control(site)
    control.answer("beat", beat(site))
    answer = control.answer("beat", beat(site, number=2, is_leaving=True, epoch=1, last_segment=3))
    assert not opened(site, "lease", answer, Lease).has_left
    assert statuses(site) == {"g2": "member"}


def statuses(site) -> dict[str, str]:
    return {one.name: one.status for one in gateways.list_gateways(site, AGENCY).gateways}


# ----------------------------------------------------------------------------------------------------- counts and files


def test_counts_of_those_that_left_are_told_under_the_view_in_force_only(site):
    register(site)
    control = Control(site)
    control.answer("beat", beat(site))
    told = opened(site, "handed-over", control.answer("hand-over", asked(site, 1)), HandOver)
    assert (told.giver, told.taker, told.epoch, told.uses) == ("", "g2", 1, ())
    assert refusals(lambda: control.answer("hand-over", asked(site, 2))) == ["epoch-differs"]


def asked(site, epoch):
    return signed(site, "hand-over", HandOverRequest("g2", epoch, "n"))


def test_nothing_is_told_while_a_gateway_runs_that_is_no_member(site):
    register(site)
    control = Control(site)
    control.answer("beat", beat(site))
    assert segments.take_lock(site.home / "usage" / "alone") is not None
    assert refusals(lambda: control.answer("hand-over", asked(site, 1))) == ["gateway-runs-unseen"]


def test_only_shards_and_released_files_are_handed_out(site):
    register(site)
    control = Control(site)
    shard = site.home / "gateway" / "shards" / hashlib.sha256(b"shard").hexdigest()
    shard.parent.mkdir(parents=True)
    shard.write_bytes(b"shard")
    (site.home / "releases").mkdir()

    def fetched(path):
        return control.answer("file", signed(site, "file", FileRequest("g2", path, "n")))

    assert fetched(f"gateway/shards/{shard.name}") == b"shard"
    for path in ("keys/snapshot-signing", "releases/../keys/snapshot-signing", "/etc/passwd", "gateway/snapshot.json",
                 "releases/", "releases/\0"):  # fmt: skip
        assert fetched(path) == b""


def test_a_segment_is_taken_from_its_own_gateway_and_when_it_is_what_its_seal_says(site):
    register(site)
    wrong = SentSegment("g2", "g1-202611-00000001", b"", b"{}")
    assert refusals(lambda: Control(site).answer("segment", signed(site, "segment", wrong))) == ["segment-refused"]
    assert not (site.home / "usage" / "g1").exists()


def test_a_home_folder_is_named_once(site):
    register(site)
    name = files.home_id(site.home)
    register(site, "g3")
    assert files.home_id(site.home) == name != ""


def test_the_link_answers_beats_over_http_and_codes_of_refusals(site):
    register(site)
    with TestClient(create_app(site)) as client:
        answer = client.post("/link/beat", content=beat(site))
        assert opened(site, "lease", answer.content, Lease).epoch == 1
        refused = client.post("/link/beat", content=b"nothing")
        assert (refused.status_code, refused.json()["code"]) == (401, "gateway-unknown")
        assert client.post("/link/beat", content=b"x" * 100_000).status_code == 401


def test_a_gateway_waits_while_the_control_plane_looks_at_its_folder(site):
    """The lock is held for as long as it takes to read what was left; a start at that moment must not fail."""
    lock = segments.take_lock(site.home / "usage" / "g2")
    tries = []

    def open_gateway() -> str:
        tries.append(1)
        held = segments.take_lock(site.home / "usage" / "g2")
        if held is None:
            raise MeterLocked("g2")
        os.close(held)
        return "opened"

    Timer(0.2, os.close, (lock,)).start()
    assert _patiently(open_gateway) == "opened"
    assert len(tries) > 1

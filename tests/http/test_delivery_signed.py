"""Signed calls, and what a contract says of who calls from where and when: believed once, and only when all of it is right."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from gongshu.base import signing
from gongshu.base.digest import sha256_hex
from gongshu.base.ids import KeyId
from gongshu.delivery.api.application import GatewayApp
from gongshu.delivery.service.signatures import opener_of, signing_secret
from gongshu.policies.types import Hours
from tests.gateways import MATCHING, PRODUCT, PURPOSE, SECRET, START, World, headers, open_gateway, policy

KEY = "key-9"
PATH = f"/v1/products/{PRODUCT}/verify"


class Clock:
    def __init__(self) -> None:
        self.time = START

    def __call__(self):
        return self.time


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "var", Clock())
    ids = {sha256_hex(SECRET.encode()): KeyId("key-1"), sha256_hex(opener_of(KEY)): KeyId(KEY)}
    made.publish(contract_changes={"key_ids": ids, "signing_keys": frozenset({KeyId(KEY)})})
    return made


def signed(world: World, request_id: str, **changes: Any) -> tuple[dict[str, str], bytes]:
    """Return headers and body of a signed call; ``changes`` are applied after signing, ``seconds`` before."""
    algorithm = changes.pop("algorithm", signing.DEFAULT_ALGORITHM)
    nonce = changes.pop("nonce", f"nonce-{request_id:0>12}")
    timestamp = str(int(world.clock().timestamp()) + changes.pop("seconds", 0))
    body = json.dumps(MATCHING).encode()
    text = signing.text_to_sign(algorithm, "POST", PATH, timestamp, nonce, request_id, PURPOSE, body)
    secret = changes.pop("secret", signing_secret(world.keys, KEY))
    made = {
        "authorization": signing.header_of(algorithm, KEY, signing.signature_of(algorithm, secret.encode(), text)),
        "x-request-id": request_id, "x-purpose": PURPOSE, "x-timestamp": timestamp, "x-nonce": nonce,
        "content-type": "application/json",
    }  # fmt: skip
    body = changes.pop("body", body)
    return made | {name.replace("_", "-"): value for name, value in changes.items()}, body


def ask(world: World, *calls: tuple[dict[str, str], bytes], client: str = "127.0.0.1", proxies: Any = ()) -> list[str]:
    """Make calls one after the other and return ``result`` or the code of the refusal of each."""

    async def work() -> list[str]:
        app = GatewayApp(lambda: open_gateway(world), frozenset(proxies))
        app.open()
        transport = httpx.ASGITransport(app=app, client=(client, 4321))
        try:
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
                answers = [(await http.post(PATH, headers=head, content=body)).json() for head, body in calls]
        finally:
            await app.close()
        return [answer.get("result") or answer["reasons"][0]["code"] for answer in answers]

    return asyncio.run(work())


PLAIN = (headers("r1"), json.dumps(MATCHING).encode())


@pytest.mark.parametrize("algorithm", sorted(signing.ALGORITHMS))
def test_a_signed_call_is_served_and_its_retry_is_signed_anew(world, algorithm):
    first = signed(world, "r1", algorithm=algorithm)
    retry = signed(world, "r1", algorithm=algorithm, nonce="another-nonce-0001")
    assert ask(world, first, retry) == ["match", "match"]
    assert len(world.records()) == 1


def test_a_replay_is_refused_within_and_after_a_restart(world):
    sent = signed(world, "r1")
    assert ask(world, sent, sent) == ["match", "nonce-repeated"]
    world.clock.time += timedelta(seconds=5)
    assert ask(world, sent) == ["signature-stale"], "a gateway that started later cannot know what was used before"
    assert len(world.records()) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"x_request_id": "r2"}, {"x_purpose": "other"}, {"x_nonce": "nonce-of-another-call"}, {"x_timestamp": "1"},
        {"body": b"{}"}, {"secret": "gss_wrong"}, {"x_timestamp": "not a number"}, {"x_nonce": "short"},
    ],
)  # fmt: skip
def test_whatever_is_changed_after_signing_breaks_the_signature(world, change):
    assert ask(world, signed(world, "r1", **change)) == ["signature-invalid"]
    assert world.records() == []


@pytest.mark.parametrize(
    ("seconds", "said"), [(-400, "signature-stale"), (-20, "signature-stale"), (30, "match"), (400, "signature-stale")]
)
def test_a_signature_is_believed_only_around_its_time(world, seconds, said):
    assert ask(world, signed(world, "r1", seconds=seconds)) == [said]


def test_a_signing_key_opens_nothing_without_a_signature_and_a_plain_one_nothing_with_it(world):
    bare = {**headers("r1"), "authorization": f"Bearer {opener_of(KEY).decode()}"}
    assert ask(world, (bare, PLAIN[1])) == ["key-unknown"]
    text = signed(world, "r1")[0]["authorization"].replace(KEY, "key-1")
    assert ask(world, ({**headers("r1"), "authorization": text}, PLAIN[1])) == ["key-unknown"]


def with_policy(world: World, **changes: Any) -> World:
    world.publish(policy=policy(**changes))
    return world


@pytest.mark.parametrize(
    ("networks", "client", "said"),
    [
        (("203.0.113.0/24",), "203.0.113.9", "match"),
        (("203.0.113.0/24",), "198.51.100.1", "address-not-agreed"),
        (("203.0.113.0/24", "2001:db8::/32"), "2001:db8::1", "match"),
        (("203.0.113.0/24",), "::ffff:203.0.113.9", "match"),
        (("203.0.113.0/24",), "not an address", "address-not-agreed"),
        ((), "198.51.100.1", "match"),
    ],
)
def test_calls_come_from_agreed_networks(world, networks, client, said):
    assert ask(with_policy(world, addresses=networks), PLAIN, client=client) == [said]


def test_only_a_trusted_proxy_speaks_for_the_callers_address_and_certificate(world):
    print_ = "a" * 64
    with_policy(world, addresses=("203.0.113.0/24",), certificates=(print_,))
    told = (
        {**PLAIN[0], "x-forwarded-for": "198.51.100.1, 203.0.113.9", "x-client-certificate": print_.upper()},
        PLAIN[1],
    )
    assert ask(world, told, client="10.0.0.1", proxies={"10.0.0.1"}) == ["match"]
    assert ask(world, told, client="10.0.0.1") == ["address-not-agreed"]
    assert ask(world, told, client="203.0.113.9") == ["certificate-not-agreed"]
    forged = ({**told[0], "x-forwarded-for": "203.0.113.9, 198.51.100.1"}, told[1])
    assert ask(world, forged, client="10.0.0.1", proxies={"10.0.0.1"}) == ["address-not-agreed"]


@pytest.mark.parametrize(
    ("minute", "said"), [(479, "outside-hours"), (480, "match"), (1079, "match"), (1080, "outside-hours")]
)
def test_calls_are_made_within_agreed_hours_of_china(world, minute, said):
    with_policy(world, hours=(Hours(480, 1080),))
    world.clock.time = START.replace(hour=16, minute=0, second=0) - timedelta(days=0 if START.hour >= 16 else 1)
    world.clock.time += timedelta(minutes=minute)
    world.publish()
    assert ask(world, PLAIN) == [said]


def test_fields_that_were_not_agreed_are_refused_by_number_alone(world):
    with_policy(world, fields=("credit_code",))
    assert ask(world, PLAIN) == ["fields-not-agreed"]


def test_a_contract_may_ask_for_signatures(world):
    with_policy(world, is_signed_only=True)
    assert ask(world, PLAIN, signed(world, "r2")) == ["signature-needed", "match"]


def test_the_nonces_of_old_signatures_are_forgotten(world):
    from gongshu.delivery.service.signatures import Signatures

    gate = Signatures(world.keys, world.clock)
    use: Callable[[str], object] = lambda nonce: gate._use(  # noqa: E731
        KEY, nonce, world.clock(), int(world.clock().timestamp())
    )
    assert use("a") is None
    assert use("a") is not None
    for _ in range(2):
        world.clock.time += timedelta(seconds=400)
        use("b" + str(world.clock.time))
    assert use("a") is None, "by now no signature with it would be believed"

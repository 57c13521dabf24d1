"""A look-up from the gate to the caller: with consent and not without, and not one call longer than it holds."""

import argparse
import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.testclient import TestClient

from gongshu.access.types import Role
from gongshu.audit import service as audit
from gongshu.base.decisions import Refused
from gongshu.base.paging import PageRequest
from gongshu.client import AsyncClient
from gongshu.client import Refused as ClientRefused
from gongshu.compute import service as compute
from gongshu.consents import cli as consent_cli
from gongshu.consents import rules as consent_rules
from gongshu.consents import service as consents
from gongshu.consents import store as consents_store
from gongshu.delivery import service as delivery
from gongshu.delivery.api.application import GatewayApp
from gongshu.metering import service as metering
from gongshu.metering.types import ResultCode
from gongshu.parties import service as parties
from gongshu.parties import store as parties_store
from gongshu.parties.types import Person
from gongshu.server.asgi import create_app
from gongshu.server.consents import consent_commands
from tests import looked_up, samples
from tests.governed_site import DEVELOPER
from tests.looked_up import NOBODY, OTHER, OTHER_BANK, SUBJECT, agreed, listed, settle, sold
from tests.world import AUDITOR, BANK, OPERATOR, PUBLIC

ANSWERS = ("状态", "注册资本 (20 · 50 · 200)")
OTHER_OPERATOR = samples.actor(samples.BUREAU, Role.OPERATOR)


@pytest.fixture
def market(sqlite_site):
    settle(sqlite_site)
    return sqlite_site, listed(sqlite_site)


@asynccontextmanager
async def serving(site) -> AsyncIterator[httpx.AsyncClient]:
    steps = itertools.count(100.0, 0.002)
    made = lambda: delivery.Gateway(site.home, "g1", site.clock, site.keys, monotonic=lambda: next(steps))  # noqa: E731
    app = GatewayApp(made)
    app.open()
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://gateway") as client:
            yield client
    finally:
        await app.close()


def run(site, work):
    async def inside():
        async with serving(site) as client:
            return await work(client)

    return asyncio.run(inside())


def codes(answer: httpx.Response) -> list[str]:
    return [reason["code"] for reason in answer.json()["reasons"]]


def test_a_look_up_is_answered_with_consent_until_it_is_withdrawn(market):
    site, listing = market
    bank = sold(site, listing)
    given = agreed(site, bank.contract)
    delivery.publish_snapshot(site)

    async def work(client):
        first = await bank.call(client, "r1", given.token)
        again = await bank.call(client, "r1", given.token)
        without = await bank.call(client, "r2", "")
        consents.withdraw_own(site, PUBLIC, given.consent.id, given.secret)
        delivery.publish_snapshot(site)  # as the worker does several times a second
        replayed = await bank.call(client, "r1", given.token)
        after = await bank.call(client, "r3", given.token)
        return first, again, without, replayed, after

    first, again, without, replayed, after = run(site, work)
    assert first.status_code == 200
    assert (first.json()["content"], first.json()["result"]) == ({"status": "存续", "capital": "<20"}, "served")
    assert again.json() == first.json()
    assert [(a.status_code, codes(a)) for a in (without, replayed, after)] == [
        (403, ["consent-missing"]), (403, ["consent-withdrawn"]), (403, ["consent-withdrawn"]),
    ]  # fmt: skip
    assert {a.json()["ndi_code"] for a in (without, replayed, after)} == {12001}
    metering.collect(site)
    records = delivery.list_calls(site, BANK, bank.contract.id, PageRequest()).rows
    assert sorted((r.result, r.is_charged) for r in records) == sorted(
        [(ResultCode.SERVED, True), *[(ResultCode.REFUSED, False)] * 3]
    )
    actions = [entry.action for entry in audit.list_entries(site, AUDITOR, PageRequest(200)).rows]
    assert {"consent.give", "consent.withdraw"} <= set(actions)


def test_a_token_is_good_for_its_subject_consumer_purpose_and_product_only(market):
    site, listing = market
    bank, other_bank = sold(site, listing), sold(site, listing, OTHER_BANK)
    other_product = sold(site, listed(site, looked_up.LOOKUP))
    given = agreed(site, bank.contract)
    delivery.publish_snapshot(site)

    async def work(client):
        return [
            await bank.call(client, "r1", given.token, OTHER),
            await other_bank.call(client, "r2", given.token),
            await bank.call(client, "r3", given.token, x_purpose="marketing"),
            await other_product.call(client, "r4", given.token),
            await bank.call(client, "r5", given.token, {"code": " "}),
        ]

    answers = run(site, work)
    assert [codes(answer) for answer in answers] == [
        ["consent-other-subject"], ["consent-other-consumer"], ["purpose-not-agreed", "consent-other-purpose"],
        ["consent-other-product"], ["call-field-missing", "consent-other-subject"],
    ]  # fmt: skip


def test_a_forged_or_changed_token_is_worth_nothing(market):
    site, listing = market
    bank = sold(site, listing)
    given = agreed(site, bank.contract)
    delivery.publish_snapshot(site)
    raw = bytearray(base64.urlsafe_b64decode(given.token[5:] + "=="))
    changed = []
    for at in (0, 64, len(raw) - 1):
        copy = bytearray(raw)
        copy[at] ^= 1
        changed.append("gsc1." + base64.urlsafe_b64encode(copy).decode().rstrip("="))
    forged = consent_rules.token_of(given.consent, b"\x01" * 32)
    odd = ["gsc1.", "gsc1.!!", "x", "gsc1." + "A" * 5000, given.token[:-8], given.token[5:]]

    async def work(client):
        return [await bank.call(client, f"r{n}", token) for n, token in enumerate([*changed, forged, *odd])]

    answers = run(site, work)
    assert {tuple(codes(answer)) for answer in answers} == {("consent-invalid",)}
    assert not any(given.token in answer.text or forged in answer.text for answer in answers)


def test_a_consent_ends_with_its_period(market, clock):
    site, listing = market
    bank = sold(site, listing)
    given = agreed(site, bank.contract, days=2)
    delivery.publish_snapshot(site)

    async def work(client):
        first = await bank.call(client, "r1", given.token)
        clock.move(days=2)
        delivery.publish_snapshot(site)
        return first, await bank.call(client, "r2", given.token)

    first, late = run(site, work)
    assert first.status_code == 200
    assert (codes(late), late.json()["ndi_code"]) == (["consent-expired"], 12002)


def test_found_and_not_found_have_one_size_and_nothing_is_echoed_or_logged(market, caplog):
    site, listing = market
    bank = sold(site, listing)
    given, nobody = agreed(site, bank.contract), agreed(site, bank.contract, NOBODY)
    delivery.publish_snapshot(site)

    async def work(client):
        return (
            await bank.call(client, "r1", given.token),
            await bank.call(client, "r2", nobody.token, NOBODY),
            await bank.call(client, "r3", given.token, NOBODY),
        )

    found, missing, refused = run(site, work)
    assert (found.json()["result"], missing.json()["result"]) == ("served", "no_record")
    assert missing.json()["content"] == {"status": None, "capital": None}
    assert len(found.content) == len(missing.content)
    assert missing.json()["receipt"]["is_charged"] is False
    said = found.text + missing.text + refused.text + caplog.text
    for fields in (SUBJECT, NOBODY):
        assert fields["code"] not in said
    with site.db.reading() as tx:
        kept = str(list(tx.execute(consents_store.CONSENTS.table.select())))
    log = json.dumps([str(entry) for entry in audit.list_entries(site, AUDITOR, PageRequest(200)).rows])
    for secret in (SUBJECT["code"], given.secret, given.token):
        assert secret not in kept + log


def test_each_item_of_a_batch_needs_its_own_subjects_consent(market):
    site, listing = market
    bank = sold(site, listing)
    given, other = agreed(site, bank.contract), agreed(site, bank.contract, OTHER)
    delivery.publish_snapshot(site)
    items = [
        {"id": "a", "fields": SUBJECT, "consent": given.token},
        {"id": "b", "fields": OTHER, "consent": given.token},
        {"id": "c", "fields": OTHER},
        {"id": "d", "fields": OTHER, "consent": other.token},
        {"id": "e", "fields": {"code": ""}, "consent": given.token},
    ]

    async def work(client):
        path = bank.path.replace("/lookup", "/batch")
        return [await client.post(path, json={"items": items}, headers=bank.headers(f"b{n}")) for n in range(2)]

    first, again = run(site, work)
    made = first.json()["items"]
    assert [(i["id"], i["result"], i["error"]) for i in made] == [
        ("a", "served", ""), ("b", "refused", "consent-other-subject"), ("c", "refused", "consent-missing"),
        ("d", "served", ""), ("e", "refused", "call-field-missing"),
    ]  # fmt: skip
    assert made[0]["content"] == {"status": "存续", "capital": "<20"}
    assert made[3]["content"] == {"status": "注销", "capital": "<20"}
    assert "content" not in made[1]
    assert [again.json()["items"][n] for n in (0, 3)] == [made[n] for n in (0, 3)]  # neither served nor charged twice


def test_an_answer_that_cannot_be_made_again_says_so_and_is_not_charged_again(market):
    site, listing = market
    bank = sold(site, listing)
    given = agreed(site, bank.contract)
    delivery.publish_snapshot(site)
    assert run(site, lambda client: bank.call(client, "r1", given.token)).status_code == 200
    (path,) = (site.home / "releases").rglob("lookup.lmdb")
    path.chmod(0o600)
    path.unlink()
    again = run(site, lambda client: bank.call(client, "r1", given.token))
    fresh = run(site, lambda client: bank.call(client, "r2", given.token))
    assert (again.status_code, codes(again)) == (409, ["answer-gone"])
    assert (fresh.status_code, codes(fresh)) == (503, ["product-unavailable"])


def refused(work) -> list[str]:
    with pytest.raises(Refused) as caught:
        work()
    return [reason.code for reason in caught.value.reasons]


def test_who_may_record_see_and_withdraw_a_consent(market):
    site, listing = market
    bank = sold(site, listing)
    record = lambda actor, **changes: consents.give(  # noqa: E731
        site, actor, bank.contract.id, **({"subject": SUBJECT, "days": 30, "is_confirmed": True} | changes)
    )
    assert refused(lambda: record(BANK)) == ["permission-missing"]
    assert refused(lambda: record(OTHER_OPERATOR)) == ["not-found"]
    assert refused(lambda: record(OPERATOR, is_confirmed=False)) == ["consent-not-confirmed"]
    assert refused(lambda: record(OPERATOR, subject={"code": " "})) == ["consent-subject-blank"]
    assert refused(lambda: record(OPERATOR, days=4000)) == ["consent-period-invalid"]
    assert refused(lambda: record(OPERATOR, days=0)) == ["consent-period-invalid"]
    given = record(OPERATOR)
    assert consents.token_of(site, BANK, given.consent.id) == given.token
    assert refused(lambda: consents.token_of(site, OTHER_BANK, given.consent.id)) == ["not-found"]
    assert [c.id for c in consents.list_consents(site, BANK, PageRequest()).rows] == [given.consent.id]
    assert consents.list_consents(site, OTHER_BANK, PageRequest()).rows == ()
    assert refused(lambda: consents.get_consent(site, OTHER_BANK, given.consent.id)) == ["not-found"]
    assert refused(lambda: consents.show_own(site, given.consent.id, "0" * 32)) == ["consent-secret-wrong"]
    shown, notice = consents.show_own(site, given.consent.id, f" {given.secret} ")
    assert (shown.id, notice.answers, notice.keys) == (given.consent.id, ANSWERS, ("code",))
    assert refused(lambda: consents.withdraw_own(site, PUBLIC, given.consent.id, "x")) == ["consent-secret-wrong"]
    assert refused(lambda: consents.withdraw(site, BANK, given.consent.id)) == ["permission-missing"]
    assert consents.withdraw(site, OPERATOR, given.consent.id).withdrawn_by == "desk"
    assert refused(lambda: consents.withdraw_own(site, PUBLIC, given.consent.id, given.secret)) == ["wrong-status"]


def test_the_desk_the_subject_and_the_consumer_do_it_all_over_http(market):
    site, listing = market
    bank = sold(site, listing)
    people = (OPERATOR, BANK)
    with site.db.transaction() as tx:
        for actor in people:
            parties_store.PEOPLE.add(tx, Person(actor.person, actor.party, actor.name, actor.person, actor.roles))
    tokens = {actor: parties.create_token(site, actor, label="test")[0] for actor in people}
    with TestClient(create_app(site)) as control:

        def ask(actor, method, path, body=None):
            head = {"Authorization": f"Bearer {tokens[actor]}"} if actor else {}
            return control.request(method, f"/api/v1{path}", json=body, headers=head)

        told = ask(OPERATOR, "GET", f"/contracts/{bank.contract.id}/consent-notice?days=30").json()
        assert (told["answers"], told["keys"], told["purpose"]) == ([*ANSWERS], ["code"], samples.PURPOSE)
        body = {"subject": SUBJECT, "days": 30}
        unconfirmed = ask(OPERATOR, "POST", f"/contracts/{bank.contract.id}/consents", body)
        assert (unconfirmed.status_code, codes(unconfirmed)) == (422, ["consent-not-confirmed"])
        assert SUBJECT["code"] not in unconfirmed.text
        given = ask(OPERATOR, "POST", f"/contracts/{bank.contract.id}/consents", body | {"is_confirmed": True})
        assert (given.status_code, given.headers["cache-control"]) == (201, "no-store")
        made = given.json()
        own = f"/own-consents/{made['consent']['id']}"
        assert SUBJECT["code"] not in given.text
        token = ask(BANK, "GET", f"/consents/{made['consent']['id']}/token").json()["token"]
        assert token == made["token"]
        assert [row["id"] for row in ask(BANK, "GET", "/consents").json()["rows"]] == [made["consent"]["id"]]
        delivery.publish_snapshot(site)

        async def work(client):
            account = {"product": bank.contract.terms.product_id, "purpose": samples.PURPOSE, "key": bank.secret}
            transport = client._transport
            consumer = AsyncClient("http://gateway", **account, transport=transport)
            answer = await consumer.lookup(SUBJECT, consent=token)
            items = await consumer.lookup_batch([("a", SUBJECT, token), ("b", OTHER, token)])
            assert ask(None, "POST", own, {"secret": "guess"}).status_code == 404
            assert ask(None, "POST", own, {"secret": made["secret"]}).json()["notice"]["answers"] == [*ANSWERS]
            withdrawn = ask(None, "POST", f"{own}/withdrawal", {"secret": made["secret"]}).json()
            delivery.publish_snapshot(site)
            with pytest.raises(ClientRefused) as late:
                await consumer.lookup(SUBJECT, consent=token)
            return answer, items, withdrawn, late.value

        answer, items, withdrawn, late = run(site, work)
    assert (answer.result, answer.content) == ("served", {"status": "存续", "capital": "<20"})
    assert [(item.result, item.error) for item in items] == [("served", ""), ("refused", "consent-other-subject")]
    assert withdrawn["status"] == "withdrawn"
    assert late.code == "consent-withdrawn"


def test_the_desk_works_on_the_command_line(market, capsys):
    site, listing = market
    bank = sold(site, listing)
    assert consent_cli.consent_give(site, OPERATOR, bank.contract.id, SUBJECT, 30, is_confirmed=True) == 0
    number, _, token = (line.rpartition(" ")[2] for line in capsys.readouterr().out.splitlines())
    assert consent_cli.consent_token(site, BANK, number) == 0
    assert capsys.readouterr().out.strip() == token
    assert consent_cli.consent_withdraw(site, OPERATOR, number) == 0
    assert consent_cli.consent_list(site, BANK) == 0
    printed = capsys.readouterr().out
    assert f"{number}  withdrawn  bank" in printed
    assert SUBJECT["code"] not in printed


def test_the_command_line_reads_keys_tags_and_bounds():
    commands = argparse.ArgumentParser().add_subparsers()
    consent_commands(commands)
    lookup = commands.choices["lookup"]
    given = ["submit", "entitlement-1", "enterprise", "--title", "t", "--key", "code=信用代码"]
    read = lookup.parse_args([*given, "--tag", "status=状态", "--tag", "capital=注册资本:20,50, 200"])
    assert (read.key, read.tag) == ([("code", "信用代码")], list(looked_up.LOOKUP.outputs))
    with pytest.raises(SystemExit):
        lookup.parse_args([*given, "--tag", "状态"])


def test_the_pages_tell_the_subject_and_give_slip_and_token_once(market):
    site, listing = market
    bank = sold(site, listing)
    with site.db.transaction() as tx:
        for actor in (OPERATOR, BANK, DEVELOPER):
            parties_store.PEOPLE.add(tx, Person(actor.person, actor.party, actor.name, actor.person, actor.roles))
    tokens = {actor: parties.create_token(site, actor, label="test")[0] for actor in (OPERATOR, BANK, DEVELOPER)}
    with TestClient(create_app(site)) as console:

        def show(actor, method, path, data=None):
            answer = console.request(method, path, data=data, headers={"Authorization": f"Bearer {tokens[actor]}"})
            assert answer.status_code == 200, answer.text[:300]
            return answer

        desk = f"/contracts/{bank.contract.id}/consent"
        assert "注册资本 (20 · 50 · 200)" in show(OPERATOR, "GET", desk).text
        form = {"subject-code": SUBJECT["code"], "days": "30", "is_confirmed": "1"}
        slip = show(OPERATOR, "POST", desk, form)
        assert slip.headers["cache-control"] == "no-store"
        (consent,) = consents.list_consents(site, BANK, PageRequest()).rows
        token = consents.token_of(site, BANK, consent.id)
        assert token in slip.text
        assert token in show(BANK, "GET", f"/consents/{consent.id}").text
        assert token not in show(OPERATOR, "GET", f"/consents/{consent.id}").text
        pages = [
            show(OPERATOR, "GET", "/consents"), show(BANK, "GET", f"/contracts/{bank.contract.id}"), slip,
            show(OPERATOR, "GET", f"/products/{bank.contract.terms.product_id}"), show(BANK, "GET", f"/market/{listing}"),
        ]  # fmt: skip
        assert not [page for page in pages if SUBJECT["code"] in page.text]
        tagged = {
            "title": "标签",
            "relation": "enterprise",
            "key-信用代码": "code",
            "tag-注册资本": "capital",
            "bounds-注册资本": "20，50",
        }
        show(DEVELOPER, "GET", "/entitlements/entitlement-1/lookup")
        show(DEVELOPER, "POST", "/entitlements/entitlement-1/lookup", tagged)
        job = compute.list_jobs(site, DEVELOPER, PageRequest()).rows[0]
        assert job.plan.lookup is not None
        assert [(o.name, o.column, o.bounds) for o in job.plan.lookup.outputs] == [
            ("capital", "注册资本", ("20", "50"))
        ]

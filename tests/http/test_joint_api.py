"""Joint agreements over the API of two installations: what each may say, in which order, and what is refused."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
from starlette.testclient import TestClient

from gongshu.access.types import Actor, Role
from gongshu.audit import service as audit
from gongshu.base.digest import canonical_json
from gongshu.base.paging import PageRequest
from gongshu.base.site import Site
from gongshu.base.tables import METADATA
from gongshu.compute import service as compute
from gongshu.compute.adapters.joint import identity
from gongshu.compute.service.joint import IDENTITY_SECRET
from gongshu.compute.types import JointStatus
from gongshu.parties import service as parties
from gongshu.parties import store as parties_store
from gongshu.parties.types import Party, Person
from gongshu.scenarios import store as scenarios_store
from gongshu.server.asgi import create_app
from gongshu.server.database import ControlDatabase
from gongshu.server.wiring import make_site
from tests import governed_site, samples
from tests.governed_site import AUDITOR, DEVELOPER, ENTITLEMENT, STRANGER

PEER = samples.actor("peer", Role.DEVELOPER)
HALF = {"relation": "enterprise", "key_column": "信用代码", "rows_max": 1_000, "address": "127.0.0.1:9101"}
OTHER_HALF = HALF | {"address": "127.0.0.1:9102", "value_column": "注册资本", "value_scale": 2}
PROPOSAL = {"kind": "sums", "purpose": "普惠金融", "learners": "proposer", "peer_brings_value": True, "own": HALF}
BASE = f"/entitlements/{ENTITLEMENT}/joint-agreements"


@dataclass
class Office:
    """One installation and its developer, over HTTP."""

    site: Site
    developer: Actor
    client: TestClient
    tokens: dict[str, str]

    def ask(self, method: str, path: str, body: Any = None, *, expect: int = 200, by: Actor | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.tokens[(by or self.developer).person]}"}
        answer = self.client.request(method, f"/api/v1{path}", json=body, headers=headers)
        assert answer.status_code == expect, answer.text
        return answer.json()

    def refused(self, path: str, body: Any, *, expect: int, by: Actor | None = None) -> list[str]:
        """Return the codes of a refusal."""
        return [one["code"] for one in self.ask("POST", path, body, expect=expect, by=by)["reasons"]]

    def fingerprint(self) -> str:
        return self.ask("GET", "/joint-node")["fingerprint"]

    def letter(self, agreement: str) -> str:
        return self.ask("GET", f"/joint-agreements/{agreement}/letter")["letter"]


@pytest.fixture
def offices(tmp_path, clock) -> Iterator[tuple[Office, Office]]:
    """Give the bank's installation, which proposes, and the city's."""
    with ExitStack() as stack:
        made = []
        for name, developer in (("bank", PEER), ("city", DEVELOPER)):
            site = make_site(tmp_path / name, database_url=f"sqlite:///{tmp_path / name}.db", clock=clock)
            stack.enter_context(closing(cast(ControlDatabase, site.db)))
            METADATA.create_all(cast(ControlDatabase, site.db).engine)
            governed_site.settle(site)
            with site.db.transaction() as tx:
                before = scenarios_store.ENTITLEMENTS.get(tx, ENTITLEMENT)
                scenarios_store.ENTITLEMENTS.save(tx, before, replace(before, developer=developer.party))
                for number, actor in enumerate((developer, STRANGER, AUDITOR)):
                    parties_store.PARTIES.add(
                        tx, Party(actor.party, actor.party, f"{number:018d}", frozenset(Role), "4500")
                    )
                    parties_store.PEOPLE.add(
                        tx, Person(actor.person, actor.party, actor.name, actor.person, actor.roles)
                    )
            tokens = {
                one.person: parties.create_token(site, one, label="t")[0] for one in (developer, STRANGER, AUDITOR)
            }
            client = stack.enter_context(TestClient(create_app(site)))
            made.append(Office(site, developer, client, tokens))
        yield made[0], made[1]


@pytest.fixture
def proposed(offices: tuple[Office, Office]) -> str:
    return offices[0].ask("POST", BASE, PROPOSAL, expect=201)["id"]


def answer_of(bank: Office, letter: str, **own: Any) -> dict[str, Any]:
    return {"letter": letter, "fingerprint": bank.fingerprint(), "own": OTHER_HALF | own}


def changed(letter: str, change: Callable[[dict[str, Any]], None]) -> str:
    """Return a letter in which somebody changed something on the way."""
    read = json.loads(letter)
    change(read)
    return json.dumps(read, ensure_ascii=False)


def test_two_installations_come_to_one_digest_and_each_has_a_job(offices, proposed) -> None:
    bank, city = offices
    answered = city.ask("POST", f"{BASE}/answers", answer_of(bank, bank.letter(proposed)), expect=201)
    assert (answered["id"], answered["status"]) == (proposed, "answered")
    letter = {"letter": city.letter(proposed), "fingerprint": city.fingerprint()}
    agreed = bank.ask("POST", "/joint-agreements/confirmations", letter)
    letter = {"letter": bank.letter(proposed), "fingerprint": bank.fingerprint()}
    confirmed = city.ask("POST", "/joint-agreements/confirmations", letter)
    assert agreed["status"] == confirmed["status"] == "agreed"
    assert agreed["task"] == confirmed["task"]
    assert agreed["peer_digest"] == confirmed["peer_digest"]
    assert (agreed["peer_signature"], confirmed["peer_signature"]) == (answered["signature"], agreed["signature"])
    for office, found in ((bank, agreed), (city, confirmed)):
        job = office.ask("GET", f"/jobs/{found['job']}")
        assert (job["status"], job["plan"]["kind"]) == ("submitted", "joint")
        assert job["plan"]["code_digest"] == agreed["peer_digest"]
        assert job["plan"]["inputs"]
        assert office.ask("GET", f"/jobs/{found['job']}/progress") is None
        assert [one["id"] for one in office.ask("GET", "/joint-agreements", by=AUDITOR)["rows"]] == [proposed]
        entries = audit.list_entries(office.site, AUDITOR, PageRequest(limit=50)).rows
        assert {"joint.agree", "job.submit"} <= {entry.action for entry in entries}
        assert compute.waiting_joint_jobs(office.site) == {found["job"]}


def test_the_stricter_thresholds_of_the_two_hold(offices, proposed) -> None:
    bank, city = offices
    with city.site.db.transaction() as tx:
        before = scenarios_store.ENTITLEMENTS.get(tx, ENTITLEMENT)
        strict = replace(before.thresholds, units_min=25, dominance_top_percent=80)
        scenarios_store.ENTITLEMENTS.save(tx, before, replace(before, thresholds=strict))
    answered = city.ask("POST", f"{BASE}/answers", answer_of(bank, bank.letter(proposed)), expect=201)
    assert answered["task"]["thresholds"]["units_min"] == 25
    letter = {"letter": city.letter(proposed), "fingerprint": city.fingerprint()}
    assert bank.ask("POST", "/joint-agreements/confirmations", letter)["task"]["thresholds"]["units_min"] == 25


def test_a_proposal_is_good_once(offices, proposed) -> None:
    bank, city = offices
    body = answer_of(bank, bank.letter(proposed))
    city.ask("POST", f"{BASE}/answers", body, expect=201)
    assert "joint-replayed" in city.refused(f"{BASE}/answers", body, expect=409)


def test_a_nonce_is_good_once(offices, proposed) -> None:
    """A peer that signs a second proposal under an old nonce would make hashes of two tasks comparable."""
    bank, city = offices
    city.ask("POST", f"{BASE}/answers", answer_of(bank, bank.letter(proposed)), expect=201)
    second = json.loads(
        bank.letter(bank.ask("POST", BASE, PROPOSAL | {"own": HALF | {"address": "127.0.0.1:9103"}}, expect=201)["id"])
    )
    second["proposal"]["nonce"] = json.loads(bank.letter(proposed))["proposal"]["nonce"]
    codes = city.refused(f"{BASE}/answers", answer_of(bank, json.dumps(second), address="127.0.0.1:9104"), expect=403)
    assert {"joint-replayed", "joint-signature-wrong"} <= set(codes)


def test_letters_that_were_changed_on_the_way_are_refused(offices, proposed) -> None:
    bank, city = offices
    letter = bank.letter(proposed)
    changes: list[Callable[[dict[str, Any]], None]] = [
        lambda read: read["proposal"].update(purpose="其他"),
        lambda read: read["proposal"]["thresholds"].update(units_min=11),
        lambda read: read["proposal"]["proposer"].update(rows_max=999),
        lambda read: read.update(signature="00" * 70),
    ]
    for change in changes:
        codes = city.refused(f"{BASE}/answers", answer_of(bank, changed(letter, change)), expect=403)
        assert codes == ["joint-signature-wrong"]
    for broken in ("", "{}", "[]", letter[:-1], letter.replace("gongshu-joint-letter/1", "letter/9"), "x" * 60_000,
                   changed(letter, lambda read: read.update(sender=1)), changed(letter, lambda read: read["proposal"].update(id="../x"))):  # fmt: skip
        assert city.refused(f"{BASE}/answers", answer_of(bank, broken), expect=422) == ["joint-letter-unreadable"]
    assert city.ask("GET", "/joint-agreements")["rows"] == []


def test_a_certificate_of_somebody_else_is_refused(offices, proposed) -> None:
    bank, city = offices
    body = answer_of(bank, bank.letter(proposed)) | {"fingerprint": city.fingerprint()}
    assert city.refused(f"{BASE}/answers", body, expect=403) == ["joint-fingerprint-differs"]
    spaced = ":".join(bank.fingerprint()[at : at + 4].upper() for at in range(0, 64, 4))
    city.ask("POST", f"{BASE}/answers", answer_of(bank, bank.letter(proposed)) | {"fingerprint": spaced}, expect=201)


def test_an_answer_that_changes_our_side_is_refused_even_if_signed(offices, proposed) -> None:
    """The peer's installation is its own: it can sign what it wants."""
    bank, city = offices
    city.ask("POST", f"{BASE}/answers", answer_of(bank, bank.letter(proposed)), expect=201)
    read = compute.read_letter(city.letter(proposed).encode())
    forms = [
        replace(read.task, learners=(read.task.sides[1].party,)), replace(read.task, purpose="其他目的"),
        replace(read.task, thresholds=replace(read.task.thresholds, units_min=9)),
        replace(read.task, limits=replace(read.task.limits, runtime_seconds=1)),
        replace(read.task, sides=(replace(read.task.sides[0], rows_max=999), read.task.sides[1])),
        replace(read.task, sides=(read.task.sides[0], replace(read.task.sides[1], party=read.task.sides[0].party))),
    ]  # fmt: skip
    for task in forms:
        signature = identity.sign(city.site.keys.secret(IDENTITY_SECRET), task.digest)
        letter = compute.read_letter(city.letter(proposed).encode())
        sent = canonical_json(replace(letter, task=task, signature=signature)).decode()
        body = {"letter": sent, "fingerprint": city.fingerprint()}
        answer = bank.client.post(
            "/api/v1/joint-agreements/confirmations", json=body,
            headers={"Authorization": f"Bearer {bank.tokens[PEER.person]}"},
        )  # fmt: skip
        codes = {one["code"] for one in answer.json()["reasons"]}
        assert codes & {"joint-digest-differs", "joint-parties-equal", "joint-thresholds-low"}, codes
        assert "joint-signature-wrong" not in codes
    assert compute.waiting_jobs(bank.site) == ()


def test_letters_come_in_their_order_and_only_from_the_other_side(offices, proposed) -> None:
    bank, city = offices
    proposal = bank.letter(proposed)
    confirm = "/joint-agreements/confirmations"
    own = {"letter": proposal, "fingerprint": bank.fingerprint()}
    assert bank.refused(confirm, own, expect=409) == ["joint-letter-unexpected"]
    city.ask("POST", f"{BASE}/answers", answer_of(bank, proposal), expect=201)
    answer = {"letter": city.letter(proposed), "fingerprint": city.fingerprint()}
    assert city.refused(confirm, answer, expect=409) == ["joint-letter-unexpected"]  # one's own
    bank.ask("POST", confirm, answer)
    assert "wrong-status" in bank.refused(confirm, answer, expect=409)
    assert bank.refused(f"/joint-agreements/{proposed}/runs", None, expect=409) == ["joint-still-running"]
    assert bank.ask("POST", f"/joint-agreements/{proposed}/withdrawal")["status"] == JointStatus.WITHDRAWN
    (job,) = bank.ask("GET", "/jobs")["rows"]
    assert (job["status"], job["failure_code"]) == ("stopped", "joint-withdrawn")
    assert bank.refused(f"/joint-agreements/{proposed}/runs", None, expect=409) == ["wrong-status"]
    late = {"letter": changed(answer["letter"], lambda read: read.update(sender=0)), "fingerprint": city.fingerprint()}
    assert city.refused(confirm, late, expect=403)


def test_what_is_proposed_must_be_permitted_and_an_address_belongs_to_one_agreement(offices, proposed) -> None:
    bank, _ = offices
    assert bank.refused(BASE, PROPOSAL, expect=409) == ["joint-address-taken"]
    other = {"own": HALF | {"address": "nowhere", "key_column": "地区", "value_column": "注册资本"}}
    assert set(bank.refused(BASE, PROPOSAL | other, expect=403)) == {
        "joint-use-missing", "joint-key-not-unit", "joint-values-unfit", "joint-address-unfit",
    }  # fmt: skip
    intersection = PROPOSAL | {"kind": "intersection", "peer_brings_value": False, "own": HALF | {"address": "h:1"}}
    assert bank.refused(BASE, intersection, expect=403) == ["joint-use-missing"]
    assert bank.ask("POST", f"/joint-agreements/{proposed}/withdrawal")["status"] == "withdrawn"
    assert bank.ask("POST", BASE, PROPOSAL, expect=201)["status"] == "proposed"


def test_others_learn_nothing_of_an_agreement(offices, proposed) -> None:
    bank, city = offices
    bank.ask("GET", f"/joint-agreements/{proposed}", by=STRANGER, expect=404)
    bank.ask("GET", f"/joint-agreements/{proposed}/letter", by=STRANGER, expect=404)
    assert bank.ask("GET", "/joint-agreements", by=STRANGER)["rows"] == []
    assert bank.refused(f"/joint-agreements/{proposed}/withdrawal", None, by=STRANGER, expect=404) == ["not-found"]
    assert bank.refused(f"/joint-agreements/{proposed}/withdrawal", None, by=AUDITOR, expect=403) == [
        "permission-missing"
    ]
    body = answer_of(bank, bank.letter(proposed))
    assert city.refused(f"{BASE}/answers", body, by=STRANGER, expect=404) == ["not-found"]


def test_an_agreement_lapses(offices, proposed, clock) -> None:
    bank, city = offices
    clock.move(days=bank.site.parameters.number("joint.validity.days", bank.site.today()))
    codes = city.refused(f"{BASE}/answers", answer_of(bank, bank.letter(proposed)), expect=409)
    assert codes == ["joint-task-expired"]
    bank.ask("POST", BASE, PROPOSAL, expect=201)  # its address is free again

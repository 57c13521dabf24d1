"""Parties, people and credentials over the real service, on both stores."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gongshu.access.types import Actor, Role
from gongshu.audit import service as audit
from gongshu.base.decisions import Refused
from gongshu.base.ids import PartyId
from gongshu.base.paging import PageRequest
from gongshu.parties import service as parties
from gongshu.parties.types import ANONYMOUS

PASSWORD = "correct-horse-7"


@pytest.fixture
def administrator(site):
    party, person = parties.bootstrap(
        site, name="运维中心", credit_code="12450000MA0000002H", region="450000", login="admin", password=PASSWORD,
        person_name="管理员",
    )  # fmt: skip
    return Actor(person.id, party.id, person.roles)


@pytest.fixture
def bank(site, administrator):
    return parties.create_party(
        site, administrator, party_id="bank", name="银行", credit_code="91370200MA0000005H", roles={Role.CONSUMER},
        region="370200",
    )  # fmt: skip


@pytest.fixture
def clerk(site, administrator, bank):
    return parties.create_person(
        site, administrator, party=bank.id, name="信达", login="xin.da", password=PASSWORD, roles={Role.CONSUMER}
    )


def codes_of(call):
    with pytest.raises(Refused) as refused:
        call()
    return [reason.code for reason in refused.value.reasons]


def last_entry(site):
    auditor = Actor(ANONYMOUS.person, ANONYMOUS.party, frozenset({Role.AUDITOR}))
    return audit.list_entries(site, auditor, PageRequest(limit=1)).rows[0]


def test_bootstrap_makes_one_administrator_and_never_another(site, administrator):
    again = lambda: parties.bootstrap(  # noqa: E731
        site, name="别家", credit_code="91370200MA0000005H", region="370200", login="root", password=PASSWORD,
        person_name="某",
    )  # fmt: skip
    assert codes_of(again) == ["installation-not-empty"]
    assert [party.id for party in parties.list_parties(site, ANONYMOUS).rows] == [administrator.party]
    assert last_entry(site).action == "party.bootstrap"
    assert last_entry(site).outcome == "denied"


def test_a_weak_first_password_leaves_the_installation_empty(site):
    call = lambda password: parties.bootstrap(  # noqa: E731
        site, name="运维中心", credit_code="12450000MA0000002H", region="450000", login="admin", password=password,
        person_name="管理员",
    )  # fmt: skip
    assert codes_of(lambda: call("weak")) == ["password-weak"]
    call(PASSWORD)


def test_a_second_application_with_the_same_code_is_refused(site, administrator, bank):
    call = lambda **changed: parties.create_party(  # noqa: E731
        site,
        administrator,
        **{"name": "又一家", "credit_code": bank.credit_code, "roles": {Role.CONSUMER}, "region": "370200"} | changed,
    )
    assert codes_of(call) == ["party-exists"]
    assert codes_of(lambda: call(party_id="bank", credit_code="91110000MA0000004X")) == ["party-id-taken"]
    assert codes_of(lambda: call(credit_code="91350000MA0000000X")) == ["credit-code-wrong"]
    assert last_entry(site).reasons[0].code == "credit-code-wrong"


def test_only_an_administrator_admits_anybody(site, bank, clerk):
    actor = Actor(clerk.id, bank.id, clerk.roles)
    create = lambda: parties.create_person(  # noqa: E731
        site, actor, party=bank.id, name="某", login="some.one", password=PASSWORD, roles={Role.CONSUMER}
    )
    assert codes_of(create) == ["permission-missing"]
    assert last_entry(site).action == "person.create"
    assert codes_of(lambda: parties.deactivate_person(site, actor, clerk.id)) == ["permission-missing"]
    assert codes_of(lambda: parties.declare_affiliates(site, actor, bank.id, ())) == ["permission-missing"]


def test_changes_of_what_is_not_there_are_audited(site, administrator):
    assert codes_of(lambda: parties.deactivate_person(site, administrator, "nobody")) == ["not-found"]
    assert last_entry(site).subject.id == "nobody"
    assert codes_of(lambda: parties.declare_affiliates(site, administrator, "nowhere", ())) == ["not-found"]
    create = lambda: parties.create_person(  # noqa: E731
        site, administrator, party="nowhere", name="某", login="some.one", password=PASSWORD, roles=()
    )
    assert codes_of(create) == ["not-found"]


def test_signing_in_opens_a_session_that_ends_at_sign_out(site, clerk):
    secret, session = parties.sign_in(site, "xin.da", PASSWORD)
    actor, csrf = parties.resolve_session(site, secret)
    assert (actor.person, actor.party, actor.roles, csrf) == (clerk.id, clerk.party, {Role.CONSUMER}, session.csrf)
    assert secret not in repr(session)
    assert last_entry(site).person == clerk.id
    parties.sign_out(site, actor, secret)
    assert parties.resolve_session(site, secret) is None
    assert last_entry(site).action == "session.sign_out"
    assert codes_of(lambda: parties.sign_out(site, ANONYMOUS, secret)) == ["not-signed-in"]


def test_nobody_ends_the_session_of_another(site, administrator, clerk):
    secret, _ = parties.sign_in(site, "xin.da", PASSWORD)
    parties.sign_out(site, administrator, secret)
    assert parties.resolve_session(site, secret) is not None


def test_a_session_ends_by_itself(site, clock, clerk):
    secret, _ = parties.sign_in(site, "xin.da", PASSWORD)
    clock.move(hours=12)
    assert parties.resolve_session(site, secret) is None
    parties.sign_in(site, "xin.da", PASSWORD)  # forgets what has expired
    assert parties.resolve_session(site, secret) is None


def test_an_unknown_login_and_a_wrong_password_get_the_same_answer(site, clerk):
    answers = []
    for login in ("xin.da", "nobody"):
        with pytest.raises(Refused) as refused:
            parties.sign_in(site, login, "wrong-password-1")
        answers.append((refused.value.reasons, last_entry(site)))
    assert answers[0][0] == answers[1][0]
    assert [entry.facts["cause"] for _, entry in answers] == ["wrong-password", "unknown-login"]
    assert "nobody" not in repr(answers[1][1])


def test_repeated_failures_lock_even_the_right_password_for_a_while(site, clock, clerk):
    for _ in range(5):
        assert codes_of(lambda: parties.sign_in(site, "xin.da", "wrong-password-1")) == ["sign-in-failed"]
    assert codes_of(lambda: parties.sign_in(site, "xin.da", PASSWORD)) == ["sign-in-failed"]
    assert last_entry(site).facts == {"cause": "locked"}
    clock.move(minutes=15)
    secret, _ = parties.sign_in(site, "xin.da", PASSWORD)
    assert parties.resolve_session(site, secret)


def test_a_person_who_has_left_is_out_at_once(site, administrator, clerk):
    secret, _ = parties.sign_in(site, "xin.da", PASSWORD)
    actor, _ = parties.resolve_session(site, secret)
    token, _ = parties.create_token(site, actor, label="脚本")
    parties.deactivate_person(site, administrator, clerk.id)
    assert parties.resolve_session(site, secret) is None
    assert parties.resolve_token(site, token) is None
    assert codes_of(lambda: parties.sign_in(site, "xin.da", PASSWORD)) == ["sign-in-failed"]
    assert last_entry(site).facts == {"cause": "inactive"}


def test_one_click_sign_in_is_refused_outside_the_demo(site, clerk):
    assert codes_of(lambda: parties.sign_in_as(site, "xin.da")) == ["demo-only"]
    assert last_entry(site).action == "session.sign_in_as"
    assert parties.list_demo_people(site) == ()
    demo = replace(site, is_demo=True)
    secret, _ = parties.sign_in_as(demo, "xin.da")
    assert parties.resolve_session(demo, secret)[0].person == clerk.id
    assert codes_of(lambda: parties.sign_in_as(demo, "nobody")) == ["sign-in-failed"]
    assert clerk in [person for person, _ in parties.list_demo_people(demo)]


def test_a_token_is_kept_as_a_digest_and_can_be_revoked_by_its_owner(site, clock, administrator, bank, clerk):
    actor = Actor(clerk.id, bank.id, clerk.roles)
    secret, token = parties.create_token(site, actor, label="脚本", days=30)
    assert secret not in repr(token)
    assert parties.resolve_token(site, secret).person == clerk.id
    assert [kept.id for kept in parties.list_tokens(site, actor).rows] == [token.id]
    assert codes_of(lambda: parties.revoke_token(site, administrator, token.id)) == ["not-found"]
    parties.revoke_token(site, actor, token.id)
    assert parties.resolve_token(site, secret) is None
    assert codes_of(lambda: parties.revoke_token(site, actor, token.id)) == ["not-found"]
    fresh, made = parties.create_token(site, actor, label="", days=1)
    assert made.expires_at == clock() + timedelta(days=1)
    clock.move(days=1)
    assert parties.resolve_token(site, fresh) is None
    assert codes_of(lambda: parties.create_token(site, ANONYMOUS, label="")) == ["not-signed-in"]


def test_people_are_seen_by_their_own_organisation_and_by_those_who_oversee(site, administrator, bank, clerk):
    own = Actor(clerk.id, bank.id, clerk.roles)
    stranger = Actor(clerk.id, PartyId("elsewhere"), clerk.roles)
    for actor in (own, administrator):
        assert [person.id for person in parties.list_people(site, actor, bank.id).rows] == [clerk.id]
        assert parties.get_person(site, actor, clerk.id) == clerk
    assert codes_of(lambda: parties.list_people(site, stranger, bank.id)) == ["not-found"]
    assert codes_of(lambda: parties.get_person(site, stranger, clerk.id)) == ["not-found"]
    assert parties.get_party(site, ANONYMOUS, bank.id) == bank
    assert codes_of(lambda: parties.get_party(site, ANONYMOUS, "nowhere")) == ["not-found"]


def test_affiliates_count_from_the_moment_they_are_declared(site, administrator, bank):
    other = parties.create_party(
        site, administrator, name="子公司", credit_code="91110000MA0000004X", roles={Role.DEVELOPER}, region="110000"
    )
    with site.db.reading() as tx:
        assert not parties.are_related_in(tx, bank.id, other.id)
    parties.declare_affiliates(site, administrator, other.id, [bank.id])
    with site.db.reading() as tx:
        assert parties.are_related_in(tx, bank.id, other.id)
        assert parties.are_related_in(tx, "ghost", "ghost")
        assert not parties.are_related_in(tx, bank.id, "ghost")
        assert parties.party_in(tx, other.id).affiliates == {bank.id}
        assert parties.find_party_in(tx, "ghost") is None

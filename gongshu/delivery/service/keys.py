"""Keys of consumers: made once, shown once, revoked."""

import secrets

from gongshu.access import service as access
from gongshu.access.types import Actor, Permission
from gongshu.audit import service as audit
from gongshu.base.decisions import NOT_FOUND, Decision, Permitted, Refused, decide
from gongshu.base.digest import sha256_hex
from gongshu.base.ids import ContractId, GrantId, KeyId
from gongshu.base.paging import Page, PageRequest
from gongshu.base.site import Site, Transaction
from gongshu.delivery import rules, store
from gongshu.delivery.service.signatures import opener_of, signing_secret
from gongshu.delivery.service.snapshots import publish_snapshot
from gongshu.delivery.types import ApiKey, KeyKind
from gongshu.grants.types import Disposal, DisposalKind
from gongshu.metering import service as metering
from gongshu.metering.types import UsageRecord
from gongshu.products import service as products

SECRET_BYTES = 32
SECRET_PREFIX = "gsk_"  # noqa: S105 - lets scanners of leaked secrets know ours


def create_key(
    site: Site, actor: Actor, contract_id: ContractId, kind: KeyKind = KeyKind.PLAIN
) -> tuple[str, ApiKey]:  # fmt: skip
    """Make a key for the consumer's own contract; returns the secret, which is kept nowhere, and the key."""
    key_id = KeyId(site.ids.make("key"))
    if kind is KeyKind.SIGNING:
        secret, opener = signing_secret(site.keys, key_id), opener_of(key_id)
    else:
        secret = SECRET_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        opener = secret.encode()
    key = ApiKey(
        id=key_id, contract=contract_id, party=actor.party, created_by=actor.person,
        secret_sha256=sha256_hex(opener), created_at=site.now(), kind=kind,
    )  # fmt: skip
    with site.db.transaction() as tx:
        contract = products.contract_in(tx, contract_id)
        in_use = store.KEYS.count(tx, contract=contract_id, is_revoked="no")
        decision = access.guard(
            actor, Permission.CONSUME_KEY_CREATE, lambda: rules.decide_create_key(contract, key, in_use)
        )
        audit.record(
            tx, site, actor=actor, action="key.create", subject=key.ref, decision=decision, origins=(contract.ref,)
        )
        if isinstance(decision, Permitted):
            store.KEYS.add(tx, key)
    made = decision.value_or_raise()
    publish_snapshot(site)
    return secret, made


def revoke_key(site: Site, actor: Actor, key_id: KeyId) -> ApiKey:
    """Revoke a key; calls with it are refused as soon as the gateways see the snapshot that follows."""
    now = site.now()
    with site.db.transaction() as tx:
        key = store.KEYS.get(tx, key_id)
        decision: Decision[ApiKey] = access.guard(
            actor, Permission.CONSUME_KEY_CREATE, lambda: rules.decide_revoke_key(key, actor, now)
        )
        audit.record(tx, site, actor=actor, action="key.revoke", subject=key.ref, decision=decision)
        if isinstance(decision, Permitted):
            store.KEYS.save(tx, key, decision.value)
    revoked = decision.value_or_raise()
    publish_snapshot(site)
    return revoked


def list_keys(site: Site, actor: Actor, contract_id: ContractId, page: PageRequest) -> Page[ApiKey]:
    """Return the keys of the actor's own contract, newest first; secrets are not among what is kept."""
    access.require(actor, Permission.CONSUME_KEY_CREATE)
    with site.db.reading() as tx:
        return store.KEYS.page(tx, page, contract=contract_id, party=actor.party)


def contracts_with_keys(site: Site) -> tuple[ContractId, ...]:
    """Return the contracts that have a key in use: those that gateways may be called under."""
    with site.db.reading() as tx:
        return tuple(sorted({key.contract for key in store.KEYS.all(tx, is_revoked="no")}))


def list_calls(site: Site, actor: Actor, contract_id: ContractId, page: PageRequest) -> Page[UsageRecord]:
    """Return the calls under a contract to its consumer or operator, newest first, refused ones included."""
    access.require(actor, Permission.READ_CONTRACT_VIEW)
    with site.db.reading() as tx:
        contract = products.contract_in(tx, contract_id)
    may_see_all = access.may(actor, Permission.AUDIT_TRACE_READ)
    if not may_see_all and actor.party not in {contract.terms.consumer, contract.terms.operator}:
        raise Refused((NOT_FOUND.because(kind="contract", id=contract_id),))
    return metering.list_records(site, contract_id, page)


def stop_under_in(tx: Transaction, site: Site, actor: Actor, grant_id: GrantId, reason: str) -> tuple[Disposal, ...]:
    """Say of every key under a grant that it opens nothing any more; part of the end of the grant.

    The keys stay known to the gateway, so that it can answer ``grant-ended`` instead of ``key-unknown``; their contracts
    are stopped, which closes them. The caller publishes a snapshot once its transaction has committed.
    """
    disposals = []
    for contract in products.contracts_in(tx):
        if contract.terms.grant != grant_id:
            continue
        for key in store.KEYS.all(tx, contract=contract.id, is_revoked="no"):
            audit.record(
                tx, site, actor=actor, action="key.stop", subject=key.ref, decision=decide(key),
                origins=(contract.ref,), facts={"grant": str(grant_id), "reason": reason},
            )  # fmt: skip
            disposals.append(Disposal(DisposalKind.KEY, key.ref, "delete-secret"))
    return tuple(disposals)

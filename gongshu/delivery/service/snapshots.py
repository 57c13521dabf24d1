"""The policy snapshot: all that a gateway needs to know, signed and numbered.

Publishing follows the audit log: what changed since the last snapshot says which contracts are looked at again. Only when
something that many contracts rest on changes or runs out is everything looked at.
"""

from dataclasses import replace
from datetime import datetime

from gongshu.access.types import SYSTEM
from gongshu.audit import service as audit
from gongshu.base.decisions import Denied, decide
from gongshu.base.digest import digest_of
from gongshu.base.ids import ContractId
from gongshu.base.site import Site, Transaction
from gongshu.consents import service as consents
from gongshu.consents.types import Consent
from gongshu.delivery import adapters, rules, store
from gongshu.delivery.types import (
    ApiKey,
    KeyKind,
    PublishedSnapshot,
    Snapshot,
    SnapshotContract,
    SnapshotHead,
    SnapshotProduct,
)
from gongshu.grants.types import ProductClass
from gongshu.products import service as products
from gongshu.products.types import Contract, ProductVersion, Standing

SIGNING_KEY = "snapshot-signing"
REFRESHES_PER_LIFE = 4
"""An unchanged snapshot is issued again when a quarter of its life is over."""
ONE_CONTRACT = frozenset({"contract", "key"})
ONE_CONSENT = frozenset({"consent"})
MANY_CONTRACTS = frozenset({"product", "entitlement", "grant", "agreement"})
"""Kinds of objects whose change concerns one contract, or all that rest on them."""


def publish_snapshot(site: Site, *, is_whole: bool = False) -> SnapshotHead:
    """Bring the gateways' snapshot up to date and return its head; cheap when nothing or little changed.

    The number rises with the content, and that is logged; an unchanged snapshot that grows old is only issued again.
    ``is_whole`` looks at every contract again.
    """
    seed = site.keys.secret(SIGNING_KEY)
    with site.db.reading() as tx:
        head = _read(site, seed)
        if not is_whole and head is not None and not _changes(tx, site, head) and _is_fresh(head, site):
            return head
    with site.db.transaction() as tx:  # one writer at a time: files are written in the order of their numbers
        head = _read(site, seed)
        made = _whole(tx, site) if is_whole or head is None else _changed(tx, site, head)
        if head is not None and _same(made, head) and _is_fresh(head, site):
            if made.log_size != head.log_size:
                adapters.write_head(site.home, _numbered(made, head.number, head.issued_at), seed)
            return head
        made = _log_in(tx, site, made, head)
        adapters.write_head(site.home, made, seed)
    adapters.drop_shards(site.home, made)
    return made


def _numbered(head: SnapshotHead, number: int, issued_at: datetime) -> SnapshotHead:
    return replace(head, number=number, issued_at=issued_at)


def _same(one: SnapshotHead, other: SnapshotHead) -> bool:
    return (one.contracts, one.products, one.consents, one.consent_key) == (
        other.contracts, other.products, other.consents, other.consent_key,
    )  # fmt: skip


def _log_in(tx: Transaction, site: Site, made: SnapshotHead, before: SnapshotHead | None) -> SnapshotHead:
    """Number a snapshot: a new number where the content changed, or where a gateway would take it for a step back."""
    last, now = store.last_snapshot(tx), site.now()
    digest = digest_of((made.contracts, made.products, made.consents, made.consent_key))
    number = max(last.number if last else 0, before.number if before else 0)
    is_back = before is not None and now <= before.issued_at
    if last is None or last.content_digest != digest or last.number != number or is_back:
        number += 1
        published = PublishedSnapshot(number, digest, now)
        store.SNAPSHOTS.add(tx, published)
        audit.record(
            tx, site, actor=SYSTEM, action="snapshot.publish", subject=published.ref, decision=decide(published),
            facts={"shards": str(len(made.shards))},
        )  # fmt: skip
    return _numbered(made, number, now)


def _age_max(site: Site) -> int:
    return site.parameters.number("gateway.snapshot_age_seconds_max", site.today())


def _read(site: Site, seed: bytes) -> SnapshotHead | None:
    """Return the head that lies there, if it is ours and its shards are there."""
    data = adapters.read_if_there(adapters.snapshot_path(site.home))
    try:
        head = None if data is None else adapters.read_head(data, adapters.public_key_of(seed))
    except adapters.SnapshotInvalid:
        return None
    named = {digest for digest in head.shards if digest} if head is not None else set()
    return head if all(adapters.shard_path(site.home, digest).exists() for digest in named) else None


def _is_fresh(head: SnapshotHead, site: Site) -> bool:
    age = (site.now() - head.issued_at).total_seconds()
    return 0 <= age < head.age_seconds_max / REFRESHES_PER_LIFE and head.age_seconds_max == _age_max(site)


def _changes(tx: Transaction, site: Site, head: SnapshotHead) -> tuple[tuple[str, str], ...]:
    """Return what changed since ``head``: kinds and ids. Something that ran out is one of many contracts' kind."""
    _, changes = audit.changes_since_in(tx, head.log_size, ONE_CONTRACT | ONE_CONSENT | MANY_CONTRACTS)
    has_run_out = head.rebuild_at is not None and site.now() >= head.rebuild_at
    return (*changes, ("grant", "")) if has_run_out else changes


def _changed(tx: Transaction, site: Site, head: SnapshotHead) -> SnapshotHead:
    """Return the head after what changed since ``head``, its shards written."""
    changes = _changes(tx, site, head)
    if any(kind in MANY_CONTRACTS for kind, _ in changes) or not head.contracts:
        return _whole(tx, site)
    size, _ = audit.changes_since_in(tx, head.log_size, ())
    named = {ContractId(name) for kind, name in changes if kind == "contract"}
    named |= {
        key.contract for kind, name in changes if kind == "key" and (key := store.KEYS.find(tx, name)) is not None
    }
    standing = products.standings_in(tx, site)
    records: dict[bytes, SnapshotContract | None] = {}
    for contract_id in sorted(named):
        contract = products.contract_in(tx, contract_id)
        keys = store.KEYS.all(tx, contract=contract_id)
        in_use = tuple(key for key in keys if key.revoked_at is None)
        is_served = contract.performing_since is not None and bool(in_use)
        made = _contract(contract, standing(contract), in_use) if is_served else None
        for key in keys:
            hashed = adapters.key_of_contract(key.secret_sha256)
            records[hashed] = made if key.revoked_at is None else None
    shards = adapters.change_shards(site.home, head.contracts, records)
    withdrawn = _withdrawals(tx, site, [name for kind, name in changes if kind in ONE_CONSENT])
    return SnapshotHead(
        0, site.now(), _age_max(site), shards, head.products, size, head.rebuild_at,
        adapters.change_shards(site.home, head.consents, withdrawn) if withdrawn else head.consents, _consent_key(site),
    )  # fmt: skip


def _consent_key(site: Site) -> str:
    return consents.public_key(site.keys).hex()


def _withdrawals(tx: Transaction, site: Site, names: list[str]) -> dict[bytes, str]:
    """Return the records of those of the consents named that were withdrawn and that time has not ended anyway."""
    found = (consents.find_in(tx, name) for name in sorted(set(names)))
    return {
        adapters.key_of_consent(consent.id): consent.id
        for consent in found
        if consent is not None and _is_worth_telling(site, consent)
    }


def _is_worth_telling(site: Site, consent: Consent) -> bool:
    return consent.withdrawn_at is not None and consent.terms.period.end > site.now()


def _whole(tx: Transaction, site: Site) -> SnapshotHead:
    """Look at every contract and product, and write all shards."""
    snapshot = _content(tx, site)
    contracts = (
        (adapters.key_of_contract(secret), contract) for contract in snapshot.contracts for secret in contract.key_ids
    )
    offered = ((adapters.key_of_product(product.id), product) for product in snapshot.products)
    return SnapshotHead(
        0, snapshot.issued_at, snapshot.age_seconds_max, adapters.write_shards(site.home, contracts),
        adapters.write_shards(site.home, offered), snapshot.log_size, snapshot.rebuild_at,
        adapters.write_shards(site.home, ((adapters.key_of_consent(name), name) for name in snapshot.withdrawn)),
        snapshot.consent_key,
    )  # fmt: skip


def _content(tx: Transaction, site: Site) -> Snapshot:
    size, _ = audit.changes_since_in(tx, 0, ())
    offered = tuple(_product(product) for product in products.products_in(tx))
    keys: dict[ContractId, list[ApiKey]] = {}
    for key in store.KEYS.all(tx, is_revoked="no"):
        keys.setdefault(key.contract, []).append(key)
    standing = products.standings_in(tx, site)
    contracts, ends = [], set[datetime]()
    for contract in products.contracts_in(tx):
        if contract.id in keys:  # nobody can call under a contract without a key
            rests_on = standing(contract)
            ends |= {rests_on.entitlement.period.end, rests_on.grant.terms.period.end}
            contracts.append(_contract(contract, rests_on, tuple(keys[contract.id])))
    now = site.now()
    return Snapshot(
        0, now, _age_max(site), tuple(contracts), offered, size, min((end for end in ends if end > now), default=None),
        tuple(consent.id for consent in consents.withdrawn_in(tx) if _is_worth_telling(site, consent)), _consent_key(site),
    )  # fmt: skip


def _contract(contract: Contract, standing: Standing, keys: tuple[ApiKey, ...]) -> SnapshotContract:
    serving, product = products.decide_serve(contract, standing), standing.product
    return SnapshotContract(
        id=contract.id, digest=contract.digest, product=product.id, product_digest=contract.terms.product.digest,
        consumer=contract.terms.consumer, policy=contract.terms.policy,
        charges_no_record=contract.terms.charges_no_record, is_free=product.product_class is ProductClass.PUBLIC,
        key_ids={key.secret_sha256: key.id for key in sorted(keys, key=lambda key: key.secret_sha256)},
        signing_keys=frozenset(key.id for key in keys if key.kind is KeyKind.SIGNING),
        stop_code=rules.stop_code(serving.reasons) if isinstance(serving, Denied) else "",
    )  # fmt: skip


def _product(product: ProductVersion) -> SnapshotProduct:
    return SnapshotProduct(
        id=product.id, digest=product.ref.digest, artifact_sha256=product.artifact_sha256,
        artifact_path=f"releases/{product.release_id}/{product.artifact_name}", kind=product.kind,
        definition=product.definition,
        needs_consent=consents.needs_consent(product),
    )  # fmt: skip

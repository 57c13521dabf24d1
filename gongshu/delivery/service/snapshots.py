"""The policy snapshot: all that a gateway needs to know, signed and numbered."""

from datetime import datetime

from gongshu.access.types import SYSTEM
from gongshu.audit import service as audit
from gongshu.base.decisions import Denied, decide
from gongshu.base.digest import digest_of
from gongshu.base.ids import ContractId, KeyId
from gongshu.base.site import Site, Transaction
from gongshu.delivery import adapters, rules, store
from gongshu.delivery.types import PublishedSnapshot, Snapshot, SnapshotContract, SnapshotProduct
from gongshu.grants.types import ProductClass
from gongshu.products import service as products
from gongshu.products.types import Contract, ProductVersion

SIGNING_KEY = "snapshot-signing"
REFRESHES_PER_LIFE = 4
"""An unchanged snapshot is issued again when a quarter of its life is over."""


def publish_snapshot(site: Site) -> Snapshot:
    """Bring the gateways' snapshot up to date and return it; cheap when nothing changed.

    The number rises with the content, and that is logged; an unchanged snapshot that grows old is only issued again.
    """
    seed = site.keys.secret(SIGNING_KEY)
    now = site.now()
    path = adapters.snapshot_path(site.home)
    current = _read(site, seed)
    age_max = site.parameters.number("gateway.snapshot_age_seconds_max", site.today())
    with site.db.reading() as tx:
        if current is not None and _is_fresh(current, _content(tx, site), age_max, now):
            return current
    with site.db.transaction() as tx:  # one writer at a time: files are written in the order of their numbers
        current = _read(site, seed)
        contracts, offered = _content(tx, site)
        if current is not None and _is_fresh(current, (contracts, offered), age_max, now):
            return current
        last = store.last_snapshot(tx)
        digest = digest_of((contracts, offered))
        number = max(last.number if last else 0, current.number if current else 0)
        if last is None or last.content_digest != digest or last.number != number or _is_back(current, now):
            number += 1
            published = PublishedSnapshot(number, digest, now)
            store.SNAPSHOTS.add(tx, published)
            audit.record(
                tx, site, actor=SYSTEM, action="snapshot.publish", subject=published.ref, decision=decide(published),
                facts={"contracts": str(len(contracts)), "products": str(len(offered))},
            )  # fmt: skip
        snapshot = Snapshot(number, now, age_max, contracts, offered)
        adapters.write_atomically(adapters.public_key_path(site.home), adapters.public_key_of(seed))
        adapters.write_atomically(path, adapters.sign_snapshot(snapshot, seed))
    return snapshot


def _is_back(current: Snapshot | None, now: datetime) -> bool:
    """Whether the clock stands before the last issue: a gateway would take an equal number for a step back."""
    return current is not None and now <= current.issued_at


def _read(site: Site, seed: bytes) -> Snapshot | None:
    """Return the snapshot that lies there, if it is ours."""
    data = adapters.read_if_there(adapters.snapshot_path(site.home))
    try:
        return None if data is None else adapters.read_snapshot(data, adapters.public_key_of(seed))
    except adapters.SnapshotInvalid:
        return None


Content = tuple[tuple[SnapshotContract, ...], tuple[SnapshotProduct, ...]]


def _is_fresh(current: Snapshot, content: Content, age_max: int, now: datetime) -> bool:
    age = (now - current.issued_at).total_seconds()
    is_young = 0 <= age < age_max / REFRESHES_PER_LIFE
    return is_young and current.age_seconds_max == age_max and (current.contracts, current.products) == content


def _content(tx: Transaction, site: Site) -> Content:
    offered = tuple(_product(product) for product in products.products_in(tx) if product.verification is not None)
    keys: dict[ContractId, dict[str, KeyId]] = {}
    for key in store.KEYS.all(tx, is_revoked="no"):
        keys.setdefault(key.contract, {})[key.secret_sha256] = key.id
    contracts = tuple(
        _contract(tx, site, contract, keys[contract.id])
        for contract in products.contracts_in(tx)
        if contract.id in keys  # nobody can call under a contract without a key
    )
    return contracts, offered


def _contract(tx: Transaction, site: Site, contract: Contract, keys: dict[str, KeyId]) -> SnapshotContract:
    serving = products.servable_in(tx, site, contract)
    product = products.product_in(tx, contract.terms.product_id)
    return SnapshotContract(
        id=contract.id, digest=contract.digest, product=product.id, product_digest=contract.terms.product.digest,
        consumer=contract.terms.consumer, policy=contract.terms.policy,
        charges_no_record=contract.terms.charges_no_record, is_free=product.product_class is ProductClass.PUBLIC,
        key_ids=dict(sorted(keys.items())),
        stop_code=rules.stop_code(serving.reasons) if isinstance(serving, Denied) else "",
    )  # fmt: skip


def _product(product: ProductVersion) -> SnapshotProduct:
    if product.verification is None:
        raise ValueError(f"product {product.id} is not served by look-up")
    return SnapshotProduct(
        id=product.id, digest=product.ref.digest, artifact_sha256=product.artifact_sha256,
        artifact_path=f"releases/{product.release_id}/{product.artifact_name}", verification=product.verification,
    )  # fmt: skip

"""Products, listings, orders and contracts on both stores."""

from datetime import timedelta

import pytest

from gongshu.access.types import Role
from gongshu.audit import service as audit
from gongshu.base.days import Period
from gongshu.base.decisions import Denied, Permitted, Refused
from gongshu.base.identifiers import passes_mod_37
from gongshu.base.money import Tier
from gongshu.base.paging import PageRequest
from gongshu.grants import service as grants
from gongshu.products import service as products
from gongshu.products.types import ContractStatus, ListingStatus, OrderStatus, ProductKind, ProductStatus
from tests import samples, world
from tests.world import AGENCY, AUDITOR, BANK, DEVELOPER, OPERATOR, PUBLIC

FIRST = PageRequest()
OTHER_BANK = samples.actor("bank-2", Role.CONSUMER)
OTHER_OPERATOR = samples.actor("operator-2", Role.OPERATOR)


@pytest.fixture(autouse=True)
def settled(site):
    world.settle(site)


def refusal(call):
    with pytest.raises(Refused) as caught:
        call()
    return [reason.code for reason in caught.value.reasons]


def denied(site):
    rows = audit.list_entries(site, AUDITOR, PageRequest(200), outcome="denied").rows
    return [entry.action for entry in reversed(rows)]


def end_of_grant(site):
    with site.db.transaction() as tx:
        disposals = products.stop_under_in(tx, site, AGENCY, "grant-1", "期满")
        grants.end_in(tx, site, AGENCY, "grant-1", "期满", disposals)
    return disposals


def test_a_product_takes_everything_that_counts_from_its_entitlement(site):
    release = world.released(site)
    product = products.define_product(
        site, OPERATOR, release_id=release.id, title=" 企业区域分布 ", summary="按区域统计"
    )
    assert (product.title, product.kind, product.operator) == ("企业区域分布", ProductKind.TABLE, samples.OPERATOR)
    assert (product.grant, product.price, product.purpose) == ("grant-1", samples.PRICE, samples.PURPOSE)
    assert (product.artifact_name, product.artifact_sha256) == ("table.parquet", release.files[0].sha256)
    with site.db.reading() as tx:
        assert products.product_in(tx, product.id) == product
        assert products.products_in(tx) == (product,), "every active product is offered to the gateways"
    parents = {edge.parent.kind for edge in audit.trace_back(site, "product", product.id).edges}
    assert {"release", "entitlement", "output", "job"} <= parents


def test_only_the_operator_of_the_entitlement_defines_a_product(site):
    release = world.released(site)
    for actor, code in ((OTHER_OPERATOR, "product-not-yours"), (DEVELOPER, "permission-missing")):
        assert refusal(
            lambda a=actor: products.define_product(site, a, release_id=release.id, title="x", summary="x")
        ) == [code]
    wrong = refusal(
        lambda: products.define_product(site, OPERATOR, release_id=release.id, title="x", summary="x", purpose="ads")
    )
    assert wrong == ["product-purpose-outside"]
    assert denied(site) == ["product.define"] * 3


def test_a_product_is_unknown_until_it_is_listed(site):
    release = world.released(site)
    product = products.define_product(site, OPERATOR, release_id=release.id, title="x", summary="x")
    assert refusal(lambda: products.get_product(site, PUBLIC, product.id)) == ["not-found"]
    assert products.get_product(site, OPERATOR, product.id) == products.get_product(site, AUDITOR, product.id)
    products.list_product(site, OPERATOR, product.id, tiers=(Tier(None, "1"),), charges_no_record=False)
    assert products.get_product(site, PUBLIC, product.id) == product
    assert products.list_products(site, OPERATOR, FIRST).rows == (product,)
    assert products.list_products(site, AUDITOR, FIRST).rows == (product,)
    assert products.list_products(site, OTHER_OPERATOR, FIRST).rows == ()


def test_a_listing_appears_on_the_market_and_leaves_it(site):
    listing = world.listed(site)
    assert products.list_listings(site, PUBLIC, FIRST).rows == (listing,)
    again = refusal(
        lambda: products.list_product(
            site, OPERATOR, listing.product_id, tiers=(Tier(None, "1"),), charges_no_record=True
        )
    )
    assert again == ["listing-exists"]
    assert refusal(lambda: products.delist(site, OTHER_OPERATOR, listing.id)) == ["product-not-yours"]
    off = products.delist(site, OPERATOR, listing.id, "换价")
    assert (off.status, off.delisted_reason, off.ref) == (ListingStatus.DELISTED, "换价", listing.ref)
    assert products.list_listings(site, PUBLIC, FIRST).rows == ()
    assert products.list_listings(site, PUBLIC, FIRST, listed_only=False).rows == (off,)
    assert products.get_listing(site, PUBLIC, listing.id) == off
    assert refusal(lambda: products.place_order(site, BANK, listing.id, samples.policy())) == ["listing-off-market"]


def test_a_price_above_the_ceiling_is_refused_and_logged(site):
    release = world.released(site)
    product = products.define_product(site, OPERATOR, release_id=release.id, title="x", summary="x")
    assert refusal(
        lambda: products.list_product(site, OPERATOR, product.id, tiers=(Tier(None, "6.01"),), charges_no_record=False)
    ) == ["listing-above-ceiling"]
    assert denied(site) == ["product.list"]
    assert products.list_listings(site, PUBLIC, FIRST, listed_only=False).rows == ()


def test_a_contract_is_performed_once_both_have_signed(site):
    listing = world.listed(site)
    order = products.place_order(site, BANK, listing.id, samples.policy())
    drawn = products.draw_up_contract(site, OPERATOR, order.id)
    assert len(drawn.code) == 47
    assert passes_mod_37(drawn.code)
    assert drawn.code.startswith("C491350000MA0000000F350120260302090000")
    assert products.get_order(site, BANK, order.id).status is OrderStatus.CONTRACTED
    assert refusal(lambda: products.draw_up_contract(site, OPERATOR, order.id)) == ["wrong-status"]
    assert refusal(lambda: products.sign_contract(site, BANK, drawn.id)) == ["contract-not-your-turn"]
    assert refusal(lambda: products.sign_contract(site, OTHER_BANK, drawn.id)) == ["not-found"]
    clerk = samples.actor(samples.OPERATOR, Role.DEVELOPER)
    assert refusal(lambda: products.sign_contract(site, clerk, drawn.id)) == ["permission-missing"]
    assert products.sign_contract(site, OPERATOR, drawn.id).status is ContractStatus.SIGNED_BY_OPERATOR
    with site.db.reading() as tx:
        assert products.contracts_in(tx) == ()
    signed = products.sign_contract(site, BANK, drawn.id)
    assert (signed.status, signed.performing_since, signed.ref) == (ContractStatus.PERFORMING, site.now(), drawn.ref)
    with site.db.reading() as tx:
        assert products.contracts_in(tx) == (signed,)
        assert isinstance(products.servable_in(tx, site, signed), Permitted)


def test_orders_and_contracts_are_seen_by_both_sides_and_supervisors(site):
    contract = world.contracted(site, world.listed(site))
    order_id = contract.terms.order.id
    for reader in (BANK, OPERATOR, AUDITOR, AGENCY):
        assert products.get_contract(site, reader, contract.id) == contract
        assert products.get_order(site, reader, order_id).id == order_id
        assert [row.id for row in products.list_contracts(site, reader, FIRST).rows] == [contract.id]
        assert [row.id for row in products.list_orders(site, reader, FIRST).rows] == [order_id]
    for stranger in (OTHER_BANK, OTHER_OPERATOR):
        assert refusal(lambda s=stranger: products.get_contract(site, s, contract.id)) == ["not-found"]
        assert refusal(lambda s=stranger: products.get_order(site, s, order_id)) == ["not-found"]
        assert products.list_contracts(site, stranger, FIRST).rows == ()
        assert products.list_orders(site, stranger, FIRST).rows == ()
    assert refusal(lambda: products.list_contracts(site, PUBLIC, FIRST)) == ["permission-missing"]


def test_a_terminated_contract_is_still_known_to_the_gateway(site):
    contract = world.contracted(site, world.listed(site))
    assert refusal(lambda: products.terminate_contract(site, BANK, contract.id, " ")) == ["contract-reason-missing"]
    assert refusal(lambda: products.terminate_contract(site, OTHER_BANK, contract.id, "x")) == ["not-found"]
    ended = products.terminate_contract(site, BANK, contract.id, "业务结束")
    assert (ended.status, ended.end_reason) == (ContractStatus.TERMINATED, "业务结束")
    with site.db.reading() as tx:
        assert products.contracts_in(tx) == (ended,)
        serving = products.servable_in(tx, site, ended)
    assert isinstance(serving, Denied)
    assert [reason.code for reason in serving.reasons] == ["contract-not-performing"]


def test_service_stops_when_the_contract_or_the_entitlement_runs_out(site, clock):
    contract = world.contracted(site, world.listed(site))
    clock.move(days=201)
    with site.db.reading() as tx:
        codes = [reason.code for reason in products.servable_in(tx, site, contract).reasons]
    assert codes == ["contract-period-over"]
    clock.move(days=200)
    with site.db.reading() as tx:
        codes = [reason.code for reason in products.servable_in(tx, site, contract).reasons]
    assert codes == ["product-entitlement-ended", "product-grant-ended", "grant-not-in-force", "contract-period-over"]


def test_the_end_of_a_grant_stops_products_listings_orders_and_contracts(site):
    listing = world.listed(site)
    contract = world.contracted(site, listing)
    waiting = products.place_order(site, OTHER_BANK, listing.id, samples.policy())
    unsigned = products.draw_up_contract(
        site, OPERATOR, products.place_order(site, OTHER_BANK, listing.id, samples.policy()).id
    )
    disposals = end_of_grant(site)
    assert products.get_product(site, AUDITOR, listing.product_id).status is ProductStatus.STOPPED
    assert products.get_listing(site, PUBLIC, listing.id).status is ListingStatus.DELISTED
    assert products.get_order(site, OTHER_BANK, waiting.id).status is OrderStatus.DECLINED
    for ended in (contract, unsigned):
        found = products.get_contract(site, AUDITOR, ended.id)
        assert (found.status, found.end_reason) == (ContractStatus.TERMINATED, "期满")
    assert {disposal.kind.value for disposal in disposals} == {"artifact", "contract"}
    assert len(disposals) == 3
    with site.db.reading() as tx:
        codes = {reason.code for reason in products.servable_in(tx, site, contract).reasons}
    assert {"product-grant-ended", "product-stopped"} <= codes


def test_nothing_new_begins_after_the_end_of_a_grant(site):
    release = world.released(site)
    product = products.define_product(site, OPERATOR, release_id=release.id, title="x", summary="x")
    end_of_grant(site)
    gone = {"product-grant-ended", "grant-not-in-force"}
    assert gone <= set(
        refusal(lambda: products.define_product(site, OPERATOR, release_id=release.id, title="x", summary="x"))
    )
    assert gone <= set(
        refusal(
            lambda: products.list_product(site, OPERATOR, product.id, tiers=(Tier(None, "1"),), charges_no_record=True)
        )
    )


def test_two_contracts_of_one_second_have_different_codes(site):
    listing = world.listed(site)
    one, two = world.contracted(site, listing), world.contracted(site, listing)
    assert one.code != two.code


@pytest.mark.parametrize("days", [-1, 0])
def test_an_order_for_the_past_is_refused(site, days):
    listing = world.listed(site)
    past = samples.policy(period=Period(site.now() - timedelta(days=5), site.now() + timedelta(days=days)))
    assert refusal(lambda: products.place_order(site, BANK, listing.id, past)) == ["order-period-invalid"]

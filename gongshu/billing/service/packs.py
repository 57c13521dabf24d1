"""Prepaid packs: bought by the consumer under its contract, used up by the months' calls."""

from gongshu.access import service as access
from gongshu.access.types import Actor, Permission
from gongshu.audit import service as audit
from gongshu.base.decisions import NOT_FOUND, Decision, Denied, Permitted
from gongshu.base.ids import ContractId
from gongshu.base.paging import FIRST_PAGE, Page, PageRequest
from gongshu.base.site import Site
from gongshu.billing import store
from gongshu.billing.rules import packs as rules
from gongshu.billing.types import PackUse
from gongshu.products import service as products


def buy_pack(site: Site, actor: Actor, contract_id: ContractId, number: int) -> PackUse:
    """Buy the pack that stands at place ``number`` (from 1) of the contract's price. It is billed with this month."""
    with site.db.transaction() as tx:
        contract = products.contract_in(tx, contract_id)

        def decide() -> Decision[PackUse]:
            if actor.party != contract.terms.consumer:
                return Denied((NOT_FOUND.because(kind="contract", id=contract_id),))
            return rules.decide_buy(contract, number, site.ids.make("pack"), site.now())

        decision = access.guard(actor, Permission.CONSUME_PACK_BUY, decide)
        subject = decision.value.ref if isinstance(decision, Permitted) else contract.ref
        audit.record(
            tx, site, actor=actor, action="pack.buy", subject=subject, decision=decision, origins=(contract.ref,),
            facts={"number": str(number)[:10]},
        )  # fmt: skip
        if isinstance(decision, Permitted):
            store.PACKS.add(tx, decision.value)
    return decision.value_or_raise()


def list_packs(site: Site, actor: Actor, contract_id: ContractId, page: PageRequest = FIRST_PAGE) -> Page[PackUse]:
    """Return the packs bought under a contract that the actor may read, newest first."""
    contract = products.get_contract(site, actor, contract_id)
    with site.db.reading() as tx:
        return store.PACKS.page(tx, page, contract=contract.id)

"""Contracts: signed by both sides, used with keys, measured, ended."""

import secrets
from collections import Counter
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from gongshu.access import service as access
from gongshu.access.types import Permission
from gongshu.base.ids import ContractId, KeyId
from gongshu.base.paging import PAGE_ROWS_MAX, PageRequest
from gongshu.billing import service as billing
from gongshu.consents import service as consents
from gongshu.console import gateway
from gongshu.console.definitions import series_chart
from gongshu.console.forms import Filled
from gongshu.console.labels import label_of
from gongshu.console.pictures import contract_way, result_ring, tier_rows
from gongshu.console.render import actor_of, done, gateway_of, page, site_of, translate
from gongshu.delivery import service as delivery
from gongshu.delivery.types import KeyKind
from gongshu.metering import service as metering
from gongshu.metering.types import ANSWERED, ResultCode
from gongshu.products import service as products
from gongshu.products.types import Contract, ContractStatus

router = APIRouter()

CALLS_SHOWN = 10
EVERY = PageRequest(limit=PAGE_ROWS_MAX)


@router.get("/contracts")
def list_contracts(request: Request, after: str = "") -> Response:
    """List the contracts of one's organisation."""
    listed = products.list_contracts(site_of(request), actor_of(request), PageRequest(after=after))
    return page(request, "contracts.html", listed=listed)


def _usage(request: Request, contract: Contract) -> dict[str, object]:
    """Return how a contract was used up to now: calls by result, how many are charged, and how many of them are sealed."""
    site, say = site_of(request), translate(request)
    sealed = metering.usage_of(site, contract.id, contract.terms.policy.period)
    now = metering.unsealed_use(site, contract.id)
    by_result: Counter[str] = Counter()
    for count in (*sealed, *now):
        by_result.update(count.by_result)
    slices = [(result, by_result[result.value]) for result in ResultCode if by_result[result.value]]
    return {
        "calls": sum(number for result, number in slices if result in ANSWERED),
        "charged": sum(count.charged for count in (*sealed, *now)), "slices": slices,
        "unsealed": sum(sum(count.by_result.values()) for count in now),
        "chart": result_ring([(say(label_of(result)), number) for result, number in slices]),
    }  # fmt: skip


def _used(request: Request, contract: Contract) -> dict[str, Any]:
    """Return what the usage of a contract is shown with, to whom may see it."""
    site, actor, terms = site_of(request), actor_of(request), contract.terms
    if contract.performing_since is None:
        return {"usage": None, "calls": ()}
    sees_calls = actor.party in {terms.operator, terms.consumer} or access.may(actor, Permission.AUDIT_TRACE_READ)
    calls = delivery.list_calls(site, actor, contract.id, PageRequest(limit=CALLS_SHOWN)).rows if sees_calls else ()
    return {"usage": _usage(request, contract), "calls": calls}


@router.get("/contracts/{contract_id}/usage")
def show_usage(request: Request, contract_id: ContractId) -> Response:
    """Show how a contract is used now; asked for again and again by its page."""
    contract = products.get_contract(site_of(request), actor_of(request), contract_id)
    return page(request, "contract-usage.html", contract=contract, **_used(request, contract))


@router.get("/contracts/{contract_id}")
def show_contract(request: Request, contract_id: ContractId) -> Response:
    """Show a contract: who signs next, its terms, usage, keys and statements."""
    site, actor = site_of(request), actor_of(request)
    contract = products.get_contract(site, actor, contract_id)
    terms = contract.terms
    signers = {
        ContractStatus.NEGOTIATING: terms.operator, ContractStatus.SIGNED_BY_OPERATOR: terms.consumer
    }  # fmt: skip
    may_bill = access.may(actor, Permission.READ_BILLING_VIEW)
    product = products.get_product(site, actor, terms.product_id)
    may_hold_keys = access.may(actor, Permission.CONSUME_KEY_CREATE)
    return page(
        request, "contract.html", contract=contract, product=product, needs_consent=consents.needs_consent(product),
        inputs=delivery.inputs_of(product.kind, product.definition),
        way=contract_way(contract, translate(request)), next_signer=signers.get(contract.status), tier_rows=tier_rows,
        keys=delivery.list_keys(site, actor, contract_id, EVERY).rows if may_hold_keys else (),
        **_used(request, contract),
        statements=billing.list_statements(site, actor, EVERY, contract_id=contract_id).rows if may_bill else None,
        month=site.today().strftime("%Y-%m"), packs=billing.list_packs(site, actor, contract_id, EVERY).rows,
    )  # fmt: skip


@router.post("/contracts/{contract_id}/sign")
def sign_contract(request: Request, contract_id: ContractId) -> Response:
    """Sign for one's own side."""
    products.sign_contract(site_of(request), actor_of(request), contract_id)
    return done(request, f"/contracts/{contract_id}", "The contract is signed for your side.")


@router.post("/contracts/{contract_id}/terminate")
def terminate_contract(request: Request, contract_id: ContractId, form: Filled) -> Response:
    """End a contract early."""
    reason = form.text("reason", is_required=False)
    products.terminate_contract(site_of(request), actor_of(request), contract_id, reason)
    return done(request, f"/contracts/{contract_id}", "The contract has ended.")


@router.post("/contracts/{contract_id}/keys")
def create_key(request: Request, contract_id: ContractId, form: Filled) -> Response:
    """Make a key and show its secret, this once."""
    kind = form.choice("kind", KeyKind) or KeyKind.PLAIN
    form.check()
    secret, key = delivery.create_key(site_of(request), actor_of(request), contract_id, kind)
    response = page(request, "key-secret.html", secret=secret, contract_id=contract_id, key=key)
    response.headers["Cache-Control"] = "no-store"
    return response


@router.post("/contracts/{contract_id}/keys/{key_id}/revoke")
def revoke_key(request: Request, contract_id: ContractId, key_id: KeyId) -> Response:
    """Revoke a key."""
    delivery.revoke_key(site_of(request), actor_of(request), key_id)
    return done(request, f"/contracts/{contract_id}", "The key is revoked.")


@router.post("/contracts/{contract_id}/call")
def try_call(request: Request, contract_id: ContractId, form: Filled) -> Response:
    """Make one real call through the gateway and show the answer with its receipt."""
    site, actor = site_of(request), actor_of(request)
    access.require(actor, Permission.CONSUME_KEY_CREATE)
    contract = products.get_contract(site, actor, contract_id)
    key, purpose = form.text("key"), form.text("purpose")
    consent = form.text("consent", is_required=False)
    given = {name: form.text(f"field-{name}", is_required=False) for name in form.names("field-")}
    form.check()
    product = products.get_product(site, actor, contract.terms.product_id)
    answer = gateway.call(
        gateway_of(request), product.id, delivery.ACTION_OF_KIND[product.kind], consent=consent, secret=key, purpose=purpose,
        request_id=f"console-{secrets.token_hex(8)}", fields={name: value for name, value in given.items() if value},
    )  # fmt: skip
    return page(
        request, "call-answer.html", answer=answer, series_chart=series_chart,
        result=ResultCode(answer.result) if answer.result in set(ResultCode) else None,
    )  # fmt: skip

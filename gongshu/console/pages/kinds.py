"""Products of every kind: the form that defines one, its file through the gateway, and whose copy a leaked file is."""

import secrets
from collections.abc import Iterator

import httpx
from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from gongshu.access import service as access
from gongshu.access.types import Permission
from gongshu.base.decisions import Refused
from gongshu.base.ids import ContractId, ReleaseId
from gongshu.compute.types import Frequency
from gongshu.console import gateway
from gongshu.console.definitions import SECTIONS_SHOWN, columns_of
from gongshu.console.forms import Filled
from gongshu.console.render import actor_of, gateway_of, page, site_of
from gongshu.delivery import service as delivery
from gongshu.egress import service as egress
from gongshu.products import service as products
from gongshu.products.types import ProductKind

router = APIRouter()

SENT_HEADERS = ("content-type", "content-length", "content-disposition", "repr-digest", "x-receipt", "etag")


@router.get("/releases/{release_id}/definition")
def show_definition(request: Request, release_id: ReleaseId, kind: str = "") -> Response:
    """Show the fields that a product of the chosen kind needs besides its title."""
    site, actor = site_of(request), actor_of(request)
    access.require(actor, Permission.OPERATE_PRODUCT_WRITE)
    release = egress.get_release(site, actor, release_id)
    wanted = ProductKind(kind) if kind in set(ProductKind) else None
    is_of_table = wanted in {ProductKind.QUERY, ProductKind.INDEX, ProductKind.REPORT}
    return page(
        request, "definition-fields.html", kind=wanted, columns=columns_of(site, release) if is_of_table else (),
        frequencies=tuple(Frequency), sections_shown=SECTIONS_SHOWN,
    )  # fmt: skip


@router.post("/contracts/{contract_id}/file")
def fetch_file(request: Request, contract_id: ContractId, form: Filled) -> Response:
    """Fetch the buyer's own file through the gateway; a real call, which counts."""
    site, actor = site_of(request), actor_of(request)
    access.require(actor, Permission.CONSUME_KEY_CREATE)
    contract = products.get_contract(site, actor, contract_id)
    key, purpose, kind = form.text("key"), form.text("purpose"), form.text("field-format")
    form.check()
    product = products.get_product(site, actor, contract.terms.product_id)
    action = delivery.ACTION_OF_KIND[product.kind]
    client = httpx.Client(timeout=gateway.GATEWAY_SECONDS_MAX)
    asked = client.build_request(
        "GET", f"{gateway_of(request)}/v1/products/{product.id}/{action}", params={"format": kind},
        headers={
            "Authorization": f"Bearer {key}", "X-Purpose": purpose, "X-Request-Id": f"console-{secrets.token_hex(8)}"
        },
    )  # fmt: skip
    try:
        answer = client.send(asked, stream=True)
        if answer.status_code != httpx.codes.OK:
            answer.read()
            told = gateway.read(answer)
            answer.close()
            client.close()
            return page(request, "file-refused.html", answer=told, result=None, contract=contract)
    except httpx.HTTPError as error:
        client.close()
        raise Refused((gateway.GATEWAY_UNREACHABLE.because(),)) from error

    def stream() -> Iterator[bytes]:
        try:
            yield from answer.iter_raw()
        finally:
            answer.close()
            client.close()

    headers = {name: answer.headers[name] for name in SENT_HEADERS if name in answer.headers}
    return StreamingResponse(stream(), headers=headers | {"cache-control": "no-store"})


@router.get("/copies")
def show_copies(request: Request) -> Response:
    """Show the form that asks whose copy a file is."""
    access.require(actor_of(request), Permission.OPERATE_PRODUCT_WRITE)
    return page(request, "copies.html")


@router.post("/copies")
def trace_copy(request: Request, form: Filled) -> Response:
    """Say whose copy of a data package a file is, with the bound of being wrong. The file is not kept."""
    files = form.files("file")
    form.check()
    site, actor = site_of(request), actor_of(request)
    found = delivery.trace_upload(site, actor, files[0].filename or "", files[0].file)
    contracts = {one.contract: products.get_contract(site, actor, one.contract) for one in found.evidence[:5]}
    return page(request, "copies-found.html", found=found, contracts=contracts)

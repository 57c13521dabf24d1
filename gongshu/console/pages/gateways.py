"""Several gateways: which are members, what each holds, and what can be done about one that is lost."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from gongshu.access import service as access
from gongshu.access.types import Permission
from gongshu.console.forms import Filled
from gongshu.console.render import actor_of, done, page, site_of
from gongshu.delivery import service as delivery
from gongshu.gateways import service as gateways

router = APIRouter()


@router.get("/gateways")
def list_gateways(request: Request) -> Response:
    """Show the gateways, how contracts are spread over them, and their leases."""
    site, actor = site_of(request), actor_of(request)
    access.require(actor, Permission.READ_GATEWAY_VIEW)
    shown = gateways.list_gateways(site, actor, delivery.contracts_with_keys(site))
    contracts = sum(gateway.contracts for gateway in shown.gateways)
    return page(
        request, "gateways.html", shown=shown, contracts=contracts,
        most=max((gateway.contracts for gateway in shown.gateways), default=0),
        members=sum(gateway.lease_seconds_left > 0 for gateway in shown.gateways),
    )  # fmt: skip


@router.post("/gateways")
def register_gateway(request: Request, form: Filled) -> Response:
    """Register a gateway."""
    name, address, key = form.text("name"), form.text("address"), form.text("public_key", is_required=False)
    form.check()
    gateways.register_gateway(site_of(request), actor_of(request), name, address, key)
    return done(request, "/gateways", "The gateway is registered. It joins with its first sign of life.")


@router.post("/gateways/{name}/write-off")
def write_off_gateway(request: Request, name: str, form: Filled) -> Response:
    """Go on without a gateway whose last records cannot be had."""
    reason = form.text("reason")
    form.check()
    gateways.write_off_gateway(site_of(request), actor_of(request), name, reason)
    return done(request, "/gateways", "The gateway is written off. Its contracts go to the others.")

"""What anybody sees without signing in: registrations in publicity, products, and whether a code is true."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from gongshu.base.paging import PageRequest
from gongshu.console.pictures import tier_rows
from gongshu.console.render import actor_of, page, site_of
from gongshu.products import service as products
from gongshu.registry import service as registry

router = APIRouter()

PRODUCTS_SHOWN = 6


@router.get("/portal")
def show_portal(request: Request, after: str = "") -> Response:
    """Show the public portal."""
    site, actor = site_of(request), actor_of(request)
    return page(
        request, "portal.html", publicity=registry.list_publicity(site, PageRequest(after=after)),
        listings=products.list_listings(site, actor, PageRequest(limit=PRODUCTS_SHOWN)), tier_rows=tier_rows,
    )  # fmt: skip


@router.get("/portal/verify")
def verify(request: Request, code: str = "") -> Response:
    """Verify a registration code."""
    found = registry.find_public(site_of(request), code) if code else None
    return page(request, "verify.html", code=code.strip(), found=found)

"""The ASGI application of ``gongshu serve``: the API under ``/api/v1`` and the console."""

from functools import lru_cache
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.responses import Response

from gongshu import __version__
from gongshu.base.decisions import Reason, Refused
from gongshu.base.site import Site
from gongshu.console import pages
from gongshu.console.render import render_refusal
from gongshu.gateways.api import LinkDoor
from gongshu.parties.types import ANONYMOUS
from gongshu.server import rooms
from gongshu.server.edge import Bounded, Identify, RefuseForgery, Repeatable, Shield, Watch, record_refusal
from gongshu.server.problems import (
    BODY_UNREADABLE,
    FIELD_INVALID,
    ROUTE_UNKNOWN,
    SIGN_IN_NEEDED,
    STATUS_OF,
    leading_kind,
    problem_response,
)  # fmt: skip

API_PREFIX = "/api/v1"
UNKNOWN_PART = "*"
ADDRESS_UNKNOWN = frozenset({404, 405})


def respond(request: Request, reasons: tuple[Reason, ...]) -> Response:
    """Return a page to people and a problem to programs; somebody unknown is asked to sign in first."""
    actor = getattr(request.state, "actor", ANONYMOUS)
    if actor is ANONYMOUS and all(reason.code == "permission-missing" for reason in reasons):
        reasons = (SIGN_IN_NEEDED.because(),)
    if not request.url.path.startswith("/api/") and "text/html" in request.headers.get("accept", ""):
        return render_refusal(request, reasons, STATUS_OF[leading_kind(reasons)])
    return problem_response(request, reasons)


def _on_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # noqa: S101 - registered for this type only
    record_refusal(request, request.app.state.site, error.reasons)
    return respond(request, error.reasons)


def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type only
    known = _field_names(request.app)
    reasons = tuple(
        # The place and the kind of mistake are named; what was sent is not repeated, be it a value or a name.
        FIELD_INVALID.because(
            field=".".join(
                str(part) if isinstance(part, int) or part in known else UNKNOWN_PART for part in item["loc"]
            ),
            problem=item["type"],
        )
        for item in error.errors()
    )
    return respond(request, reasons)


@lru_cache(maxsize=4)
def _field_names(app: FastAPI) -> frozenset[str]:
    """Return every name of a field or parameter that the API document knows."""
    names = {"body", "query", "path", "header", "cookie"}

    def gather(node: object) -> None:
        if isinstance(node, dict):
            names.update(node.get("properties", {}))
            if "in" in node and isinstance(node.get("name"), str):
                names.add(node["name"])
        for below in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            gather(below)

    gather(app.openapi())
    return frozenset(names)


def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type only
    reason = ROUTE_UNKNOWN if error.status_code in ADDRESS_UNKNOWN else BODY_UNREADABLE
    return respond(request, (reason.because(),))


def create_app(site: Site) -> FastAPI:
    """Return the application for ``site``."""
    app = FastAPI(
        title="gongshu 公数", version=__version__, openapi_url=f"{API_PREFIX}/openapi.json", docs_url=None, redoc_url=None,
        summary="Authorized operation of public data 公共数据授权运营",
    )  # fmt: skip
    app.state.site = site
    for router in rooms.routers():
        app.include_router(router, prefix=API_PREFIX)
    app.include_router(pages.router, include_in_schema=False)
    static = files("gongshu.console").joinpath("static")
    app.mount("/static", StaticFiles(directory=str(static), check_dir=False), name="static")
    handlers: dict[Any, Any] = {
        Refused: _on_refused, RequestValidationError: _on_invalid, HTTPException: _on_http
    }  # fmt: skip
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
    app.add_middleware(Watch)
    app.add_middleware(Repeatable, site=site)
    app.add_middleware(RefuseForgery)
    app.add_middleware(Bounded)
    app.add_middleware(Identify, site=site)
    app.add_middleware(LinkDoor, site=site)
    app.add_middleware(Shield, respond=respond)
    return app

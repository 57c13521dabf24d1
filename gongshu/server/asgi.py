"""The ASGI application of ``gongshu serve``: the API under ``/api/v1`` and the console."""

import logging
import secrets
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.responses import Response

from gongshu import __version__
from gongshu.base.decisions import INTERNAL, Reason, Refused
from gongshu.base.site import Site
from gongshu.console import pages
from gongshu.console.render import render_refusal
from gongshu.server import rooms
from gongshu.server.edge import ANONYMOUS, Identify, RefuseForgery, Repeatable
from gongshu.server.problems import FIELD_INVALID, ROUTE_UNKNOWN, SIGN_IN_NEEDED, problem_response

log = logging.getLogger("gongshu")

API_PREFIX = "/api/v1"

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


def _respond(request: Request, reasons: tuple[Reason, ...]) -> Response:
    """Return a page to people and a problem to programs; somebody unknown is asked to sign in first."""
    actor = getattr(request.state, "actor", ANONYMOUS)
    if actor is ANONYMOUS and all(reason.code == "permission-missing" for reason in reasons):
        reasons = (SIGN_IN_NEEDED.because(),)
    if not request.url.path.startswith("/api/") and "text/html" in request.headers.get("accept", ""):
        return render_refusal(request, reasons)
    return problem_response(request, reasons)


async def _on_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # noqa: S101 - registered for this type only
    return _respond(request, error.reasons)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type only
    reasons = tuple(
        # The place and the kind of mistake are named; the value that was sent is not repeated.
        FIELD_INVALID.because(field=".".join(str(part) for part in item["loc"]), problem=item["type"])
        for item in error.errors()
    )
    return _respond(request, reasons)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type only
    return _respond(request, (ROUTE_UNKNOWN.because(),))


async def _on_crash(request: Request, error: Exception) -> Response:
    # Messages of exceptions may hold data values: the log gets the type and the place, the caller a number.
    incident = secrets.token_hex(6)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
    log.error("incident %s: %s at %s on %s %s", incident, type(error).__name__, place, request.method, request.url.path)
    response = _respond(request, (INTERNAL.because(),))
    response.headers["X-Incident"] = incident
    return response


async def _add_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    return response


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
        Refused: _on_refused, RequestValidationError: _on_invalid, HTTPException: _on_http, Exception: _on_crash
    }  # fmt: skip
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
    app.add_middleware(Repeatable, site=site)
    app.add_middleware(RefuseForgery)
    app.add_middleware(Identify, site=site)
    app.middleware("http")(_add_headers)
    return app

"""The start page: what waits for me, and where things stand."""

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from gongshu.access.types import Role
from gongshu.console.pages.door import DOES, ROLE_ICONS
from gongshu.console.render import actor_of, page, site_of
from gongshu.console.stations import stations_of
from gongshu.console.waiting import tasks_of

router = APIRouter()


@router.get("/")
def show_home(request: Request) -> Response:
    """Show the start page by role; somebody unknown is led to the sign-in."""
    site, actor = site_of(request), actor_of(request)
    if actor.roles <= {Role.PUBLIC}:
        return RedirectResponse("/sign-in", status_code=303)
    return page(
        request, "home.html", tasks=tasks_of(site, actor), stations=stations_of(site, actor), does=DOES,
        icons=ROLE_ICONS,
    )  # fmt: skip

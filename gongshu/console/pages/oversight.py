"""The audit log and the lifelines of objects."""

from typing import Literal

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from gongshu.access import service as access
from gongshu.access.types import Permission
from gongshu.audit import service as audit
from gongshu.audit.types import Outcome
from gongshu.base.paging import PageRequest
from gongshu.console.drawing import draw_lifeline
from gongshu.console.forms import Filled
from gongshu.console.render import actor_of, done, page, site_of
from gongshu.supervision import service as supervision

router = APIRouter()


@router.get("/audit")
def show_log(  # noqa: PLR0917 - one per filter in the address
    request: Request, after: str = "", action: str = "", party: str = "", outcome: str = "", subject: str = ""
) -> Response:
    """Show entries of the log, newest first, filtered."""
    site, actor = site_of(request), actor_of(request)
    filters = {"action": action.strip(), "party": party.strip(), "outcome": outcome, "subject": subject.strip()}
    listed = audit.list_entries(
        site, actor, PageRequest(after=after), action=filters["action"], party=filters["party"],
        outcome=outcome if outcome in set(Outcome) else "", subject_id=filters["subject"],
    )  # fmt: skip
    return page(
        request, "log.html", listed=listed, filters=filters, outcomes=tuple(Outcome), checkpoint=audit.checkpoint(site),
        key=audit.public_key(site),
    )  # fmt: skip


@router.post("/audit/check")
def check_log(request: Request, form: Filled) -> Response:
    """Recompute the whole log from its entries and show what was found."""
    site, actor = site_of(request), actor_of(request)
    access.require(actor, Permission.AUDIT_LOG_READ)
    audit.integrate(site)
    report = audit.fsck(site, form.text("handed_out", is_required=False))
    return page(request, "log-checked.html", report=report, checkpoint=audit.checkpoint(site))


@router.get("/audit/checkpoint")
def download_checkpoint(request: Request) -> Response:
    """Hand out the newest signed checkpoint, to be kept by whoever does not want to trust this platform."""
    note = audit.checkpoint(site_of(request)).note
    return PlainTextResponse(note, headers={"Content-Disposition": 'attachment; filename="checkpoint"'})


@router.get("/audit/entries/{entry_id}")
def show_entry(request: Request, entry_id: str) -> Response:
    """Show one entry."""
    return page(request, "entry.html", entry=audit.get_entry(site_of(request), actor_of(request), entry_id))


@router.get("/audit/entries/{entry_id}/proof")
def download_proof(request: Request, entry_id: str) -> Response:
    """Hand out the inclusion proof of one entry; the verifier script of the documentation checks it offline."""
    text = audit.read_proof(site_of(request), actor_of(request), entry_id)
    name = "".join(character for character in entry_id if character.isalnum() or character == "-")
    return PlainTextResponse(text, headers={"Content-Disposition": f'attachment; filename="{name}.tlog-proof"'})


@router.get("/lifelines")
def ask_for_lifeline(request: Request) -> Response:
    """Ask for the object, or the receipt of a call, whose lifeline is wanted."""
    access.require(actor_of(request), Permission.AUDIT_TRACE_READ)
    return page(request, "lifelines.html")


@router.post("/lifelines")
def find_lifeline(request: Request, form: Filled) -> Response:
    """Go to the lifeline of a receipt's call or of an object."""
    wanted = form.text("wanted")
    form.check()
    kind, _, _ = wanted.rpartition("-")
    is_call = ":" in wanted
    return done(request, f"/lifelines/call/{wanted}" if is_call else f"/lifelines/{kind}/{wanted}")


@router.get("/lifelines/call/{position}")
def show_call(request: Request, position: str) -> Response:
    """Show a call from its receipt back to the manifest of the data it rests on."""
    found = supervision.lifeline_of_call(site_of(request), actor_of(request), position)
    return page(request, "lifeline-call.html", found=found, picture=draw_lifeline(found), position=position)


@router.get("/lifelines/{kind}/{object_id}")
def show_lifeline(
    request: Request, kind: str, object_id: str, direction: Literal["back", "forward"] = "back"
) -> Response:
    """Show everything that an object came from, or everything that came of it."""
    site, actor = site_of(request), actor_of(request)
    ask = supervision.lifeline_back if direction == "back" else supervision.lifeline_forward
    found = ask(site, actor, kind, object_id)
    return page(
        request, "lifeline.html", found=found, picture=draw_lifeline(found), kind=kind, object_id=object_id,
        direction=direction,
    )  # fmt: skip

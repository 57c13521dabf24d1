"""Monthly statements: what was called, what it costs, who gets which part."""

from datetime import date

from fastapi import APIRouter, Request
from starlette.responses import Response

from gongshu.base.ids import ContractId, StatementId
from gongshu.base.paging import PAGE_ROWS_MAX, PageRequest
from gongshu.billing import service as billing
from gongshu.billing.types import DisputeStatus
from gongshu.console.forms import Filled
from gongshu.console.pictures import split_flow
from gongshu.console.render import actor_of, done, page, party_names, site_of, translate

router = APIRouter()


@router.get("/statements")
def list_statements(request: Request, after: str = "") -> Response:
    """List the statements that one may read, and their sums."""
    site, actor = site_of(request), actor_of(request)
    return page(
        request, "statements.html", listed=billing.list_statements(site, actor, PageRequest(after=after)),
        totals=billing.totals(site, actor), month=site.today().strftime("%Y-%m"),
    )  # fmt: skip


@router.post("/statements/month")
def create_statements(request: Request, form: Filled) -> Response:
    """Bill a month for every contract of the operator's."""
    month = form.month("month")
    form.check()
    billing.create_statements(site_of(request), actor_of(request), month)
    return done(request, "/statements", "The month is billed from sealed records.")


@router.get("/statements/{statement_id}")
def show_statement(request: Request, statement_id: StatementId) -> Response:
    """Show a statement: its lines, and the income as a stream into its parts."""
    statement = billing.get_statement(site_of(request), actor_of(request), statement_id)
    return page(
        request, "statement.html", statement=statement,
        disputes=billing.list_disputes(site_of(request), actor_of(request), statement_id=statement_id).rows,
        adjustments=billing.list_adjustments(site_of(request), actor_of(request), statement_id, PageRequest(PAGE_ROWS_MAX)).rows,
        confirmation=billing.confirmation_of(site_of(request), actor_of(request), statement_id),
        stream=split_flow(statement, translate(request), party_names(request)) if statement.shares else None,
    )  # fmt: skip


@router.post("/contracts/{contract_id}/statements")
def create_statement(request: Request, contract_id: ContractId, form: Filled) -> Response:
    """Draw up the statement of a month."""
    month = form.month("month")
    form.check()
    made = billing.create_statement(site_of(request), actor_of(request), contract_id, date(month.year, month.month, 1))
    return done(request, f"/statements/{made.id}", "The statement is drawn up from sealed records.")


@router.post("/statements/{statement_id}/confirm")
def confirm_statement(request: Request, statement_id: StatementId, form: Filled) -> Response:
    """Agree with a statement."""
    form.check()
    billing.confirm_statement(site_of(request), actor_of(request), statement_id)
    return done(request, f"/statements/{statement_id}", "The statement is confirmed.")


@router.post("/statements/{statement_id}/dispute")
def raise_dispute(request: Request, statement_id: StatementId, form: Filled) -> Response:
    """Object to a statement."""
    reason, positions = form.text("reason"), form.lines("positions")
    form.check()
    billing.raise_dispute(site_of(request), actor_of(request), statement_id, reason, positions)
    return done(request, f"/statements/{statement_id}", "The operator will answer.")


@router.post("/statements/{statement_id}/adjust")
def adjust(request: Request, statement_id: StatementId, form: Filled) -> Response:
    """Put right what is owed."""
    amount, reason = form.yuan_minor("amount"), form.text("reason")
    form.check()
    billing.adjust(site_of(request), actor_of(request), statement_id, amount, reason)
    return done(request, f"/statements/{statement_id}", "The entry stands beside the statement.")


@router.post("/disputes/{dispute_id}/decide")
def decide_dispute(request: Request, dispute_id: str, form: Filled) -> Response:
    """Accept or reject an objection."""
    outcome, answer = form.choice("outcome", DisputeStatus), form.text(f"answer-{dispute_id}")
    has_amount = bool(form.text(f"amount-{dispute_id}", is_required=False))
    amount = form.yuan_minor(f"amount-{dispute_id}") if has_amount else 0
    form.check()
    dispute, _ = billing.decide_dispute(
        site_of(request), actor_of(request), dispute_id, outcome or DisputeStatus.REJECTED, answer, amount
    )
    return done(request, f"/statements/{dispute.statement_id}", "The dispute is decided.")


@router.post("/disputes/{dispute_id}/withdraw")
def withdraw_dispute(request: Request, dispute_id: str, form: Filled) -> Response:
    """Take an objection back."""
    form.check()
    dispute = billing.withdraw_dispute(site_of(request), actor_of(request), dispute_id)
    return done(request, f"/statements/{dispute.statement_id}", "The dispute is withdrawn.")


@router.post("/contracts/{contract_id}/packs")
def buy_pack(request: Request, contract_id: ContractId, form: Filled) -> Response:
    """Buy a prepaid pack."""
    number = form.whole("number")
    form.check()
    billing.buy_pack(site_of(request), actor_of(request), contract_id, number)
    return done(request, f"/contracts/{contract_id}", "The pack is bought; it is billed with this month.")

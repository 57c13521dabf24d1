"""Monthly statements: what was called, what it costs, who gets which part."""

from datetime import date

from fastapi import APIRouter, Request
from starlette.responses import Response

from gongshu.base.ids import ContractId, StatementId
from gongshu.base.paging import PageRequest
from gongshu.billing import service as billing
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
        totals=billing.totals(site, actor),
    )  # fmt: skip


@router.get("/statements/{statement_id}")
def show_statement(request: Request, statement_id: StatementId) -> Response:
    """Show a statement: its lines, and the income as a stream into its parts."""
    statement = billing.get_statement(site_of(request), actor_of(request), statement_id)
    return page(
        request, "statement.html", statement=statement,
        stream=split_flow(statement, translate(request), party_names(request)) if statement.shares else None,
    )  # fmt: skip


@router.post("/contracts/{contract_id}/statements")
def create_statement(request: Request, contract_id: ContractId, form: Filled) -> Response:
    """Draw up the statement of a month."""
    month = form.month("month")
    form.check()
    made = billing.create_statement(site_of(request), actor_of(request), contract_id, date(month.year, month.month, 1))
    return done(request, f"/statements/{made.id}", "The statement is drawn up from sealed records.")

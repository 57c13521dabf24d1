"""``gongshu consent``: the consent desk on the command line, and the tokens of a consumer."""

from gongshu.access.types import Actor
from gongshu.base.ids import ConsentId, ContractId
from gongshu.base.paging import PageRequest
from gongshu.base.site import Site
from gongshu.consents import service


def consent_give(
    site: Site, actor: Actor, contract_id: str, subject: dict[str, str], days: int, *, is_confirmed: bool
) -> int:
    """Record a consent and print its number, the withdrawal code for the subject, and the token for the consumer; return 0."""
    given = service.give(site, actor, ContractId(contract_id), subject, days, is_confirmed=is_confirmed)
    print(f"consent 同意编号: {given.consent.id}")
    print(f"withdrawal code 撤回码: {given.secret}")
    print(f"token 凭证: {given.token}")
    return 0


def consent_withdraw(site: Site, actor: Actor, consent_id: str) -> int:
    """Withdraw a consent at the desk; return 0."""
    withdrawn = service.withdraw(site, actor, ConsentId(consent_id))
    print(f"{withdrawn.id} {withdrawn.status}")
    return 0


def consent_list(site: Site, actor: Actor) -> int:
    """Print the newest consents that one's organisation may use or recorded; return 0."""
    for consent in service.list_consents(site, actor, PageRequest()).rows:
        terms = consent.terms
        print(f"{consent.id}  {consent.status}  {terms.consumer}  {terms.product}  {terms.period.end.isoformat()}")
    return 0


def consent_token(site: Site, actor: Actor, consent_id: str) -> int:
    """Print the token of a consent, for its consumer; return 0."""
    print(service.token_of(site, actor, ConsentId(consent_id)))
    return 0

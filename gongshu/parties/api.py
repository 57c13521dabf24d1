"""The directory of organisations, people, and personal bearer tokens over HTTP."""

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field, SecretStr

from gongshu.access.types import Actor, Permission, Role
from gongshu.base.ids import PartyId, PersonId
from gongshu.base.paging import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, Page, PageRequest
from gongshu.base.site import Site
from gongshu.parties import service
from gongshu.parties.types import ApiToken, Party, Person

router = APIRouter(tags=["parties"])

SIGNED_IN = {"x-permission": "signed-in"}


def site_of(request: Request) -> Site:
    """Return the site of the running server."""
    return cast(Site, request.app.state.site)


def actor_of(request: Request) -> Actor:
    """Return who asks, as the server's middleware resolved it."""
    return cast(Actor, request.state.actor)


def page_of(
    limit: Annotated[int, Query(ge=1, le=PAGE_ROWS_MAX)] = PAGE_ROWS_DEFAULT,
    after: Annotated[str, Query(max_length=80)] = "",
) -> PageRequest:
    """Return the part of a list that is asked for."""
    return PageRequest(limit, after)


Here = Annotated[Site, Depends(site_of)]
By = Annotated[Actor, Depends(actor_of)]
Asked = Annotated[PageRequest, Depends(page_of)]


class NewParty(BaseModel):
    """An organisation to admit."""

    party_id: str = Field("", max_length=80, pattern=r"^[a-z0-9-]*$")
    name: str = Field(max_length=200)
    credit_code: str = Field(max_length=40)
    roles: frozenset[Role]
    region: str = Field(max_length=12)
    is_public_institution: bool = False
    affiliates: frozenset[str] = frozenset()


class Affiliates(BaseModel):
    """The affiliates to declare, replacing those declared before."""

    affiliates: frozenset[str]


class NewPerson(BaseModel):
    """A person to let act for an organisation."""

    name: str = Field(max_length=200)
    login: str = Field(max_length=200)
    password: SecretStr = Field(max_length=1000)
    roles: frozenset[Role]


class NewToken(BaseModel):
    """A bearer token to make for oneself."""

    label: str = Field(max_length=100)
    days: int = 90


class TokenOnce(BaseModel):
    """A new token. ``secret`` is shown this once."""

    secret: str
    token: ApiToken


@router.post("/parties", status_code=201, openapi_extra={"x-permission": Permission.ADMINISTER_PARTY_CREATE.value})
def create_party(body: NewParty, site: Here, actor: By) -> Party:
    """Admit an organisation."""
    return service.create_party(
        site, actor, party_id=body.party_id, name=body.name, credit_code=body.credit_code, roles=body.roles,
        region=body.region, is_public_institution=body.is_public_institution,
        affiliates=[PartyId(other) for other in body.affiliates],
    )  # fmt: skip


@router.get("/parties", openapi_extra={"x-permission": Permission.READ_PARTY_VIEW.value})
def list_parties(page: Asked, site: Here, actor: By) -> Page[Party]:
    """List organisations."""
    return service.list_parties(site, actor, page)


@router.get("/parties/{party_id}", openapi_extra={"x-permission": Permission.READ_PARTY_VIEW.value})
def get_party(party_id: str, site: Here, actor: By) -> Party:
    """Show an organisation."""
    return service.get_party(site, actor, PartyId(party_id))


@router.put("/parties/{party_id}/affiliates", openapi_extra={"x-permission": Permission.ADMINISTER_PARTY_CREATE.value})
def declare_affiliates(party_id: str, body: Affiliates, site: Here, actor: By) -> Party:
    """Declare the affiliates of an organisation."""
    return service.declare_affiliates(site, actor, PartyId(party_id), [PartyId(other) for other in body.affiliates])


@router.get("/parties/{party_id}/people", openapi_extra={"x-permission": Permission.READ_PARTY_VIEW.value})
def list_people(
    party_id: str,
    page: Asked,
    site: Here,
    actor: By,
) -> Page[Person]:
    """List the people of an organisation."""
    return service.list_people(site, actor, PartyId(party_id), page)


@router.post(
    "/parties/{party_id}/people", status_code=201,
    openapi_extra={"x-permission": Permission.ADMINISTER_PERSON_CREATE.value},
)  # fmt: skip
def create_person(party_id: str, body: NewPerson, site: Here, actor: By) -> Person:
    """Let a person act for an organisation."""
    return service.create_person(
        site, actor, party=PartyId(party_id), name=body.name, login=body.login,
        password=body.password.get_secret_value(), roles=body.roles,
    )  # fmt: skip


@router.post(
    "/people/{person_id}/deactivation", openapi_extra={"x-permission": Permission.ADMINISTER_PERSON_CREATE.value}
)
def deactivate_person(person_id: str, site: Here, actor: By) -> Person:
    """Freeze a person who has left."""
    return service.deactivate_person(site, actor, PersonId(person_id))


@router.get("/tokens", openapi_extra=SIGNED_IN)
def list_tokens(page: Asked, site: Here, actor: By) -> Page[ApiToken]:
    """List one's own tokens."""
    return service.list_tokens(site, actor, page)


@router.post("/tokens", status_code=201, openapi_extra=SIGNED_IN)
def create_token(body: NewToken, response: Response, site: Here, actor: By) -> TokenOnce:
    """Make a bearer token for oneself; its secret is shown this once."""
    response.headers["Cache-Control"] = "no-store"
    secret, token = service.create_token(site, actor, label=body.label, days=body.days)
    return TokenOnce(secret=secret, token=token)


@router.delete("/tokens/{token_id}", status_code=204, openapi_extra=SIGNED_IN)
def revoke_token(token_id: str, site: Here, actor: By) -> None:
    """Revoke one of one's own tokens."""
    service.revoke_token(site, actor, token_id)

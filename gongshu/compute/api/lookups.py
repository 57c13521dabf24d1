"""Look-ups over HTTP: what is asked by, what is answered."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from gongshu.access.types import Permission
from gongshu.base.ids import EntitlementId
from gongshu.compute import service
from gongshu.compute.api.routes import By, Here
from gongshu.compute.types import Job, LookupDefinition, LookupKey, LookupOutput

router = APIRouter()
NAME = r"^[a-z][a-z0-9_]*$"


class KeyText(BaseModel):
    """An input field of a look-up and the column that it names the subject by."""

    name: str = Field(max_length=80, pattern=NAME)
    column: str = Field(max_length=200)


class OutputText(BaseModel):
    """A tag, band or score, and the column that it is made of; rising ``bounds`` cut a number into bands."""

    name: str = Field(max_length=80, pattern=NAME)
    column: str = Field(max_length=200)
    bounds: list[Annotated[str, Field(max_length=40)]] = Field(default=[], max_length=50)


class LookupJob(BaseModel):
    """A look-up to be built: who → tags, bands, scores; answered with the subject's consent only."""

    title: str = Field(max_length=200)
    relation: str = Field(max_length=200)
    keys: list[KeyText] = Field(max_length=10)
    outputs: list[OutputText] = Field(max_length=50)


@router.post(
    "/entitlements/{entitlement_id}/jobs/lookup", status_code=201,
    openapi_extra={"x-permission": Permission.DEVELOP_JOB_SUBMIT.value},
)  # fmt: skip
def submit_lookup(site: Here, actor: By, entitlement_id: str, body: LookupJob) -> Job:
    """Submit a look-up to be built of real data; the artifact goes into quarantine."""
    definition = LookupDefinition(
        body.relation,
        tuple(LookupKey(key.name, key.column) for key in body.keys),
        tuple(LookupOutput(output.name, output.column, tuple(output.bounds)) for output in body.outputs),
    )
    return service.submit_lookup(site, actor, EntitlementId(entitlement_id), body.title, definition)

"""Every room, by name: importing them puts their tables on the one ``MetaData``."""

from fastapi import APIRouter

from gongshu.audit import api as audit_api
from gongshu.billing import api as billing_api
from gongshu.catalog import api as catalog_api
from gongshu.compute import api as compute_api
from gongshu.consents import api as consents_api
from gongshu.delivery import api as delivery_api
from gongshu.egress import api as egress_api
from gongshu.gateways import api as gateways_api
from gongshu.grants import api as grants_api
from gongshu.metering import service as _metering  # noqa: F401 - for its tables
from gongshu.parties import api as parties_api
from gongshu.products import api as products_api
from gongshu.registry import api as registry_api
from gongshu.scenarios import api as scenarios_api
from gongshu.supervision import api as supervision_api


def routers() -> tuple[APIRouter, ...]:
    """Return the API routers in the order of the flow."""
    return (
        parties_api.router, catalog_api.router, registry_api.router, grants_api.router, scenarios_api.router,
        compute_api.router, egress_api.router, products_api.router, consents_api.router, delivery_api.router,
        gateways_api.router, billing_api.router,
        supervision_api.router, audit_api.router,
    )  # fmt: skip

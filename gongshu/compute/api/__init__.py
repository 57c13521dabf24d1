"""Governed compute over HTTP: statements, jobs and programs (``routes``), and look-ups (``lookups``)."""

from gongshu.compute.api import lookups
from gongshu.compute.api.routes import router

router.include_router(lookups.router)

__all__ = ["router"]

"""HTTP of the catalog."""

from fastapi import APIRouter

router = APIRouter(prefix="/resources", tags=["catalog"])

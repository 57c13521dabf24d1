"""Two ways in: keys and calls over the control API (``routes``), and the gateway's own application (``gateway``)."""

from gongshu.delivery.api.routes import router

__all__ = ["router"]

"""The Python client of a consumer: calls one by one or in batches, signed or not, repeated safely.

    from gongshu.client import Client

    with Client("https://gateway.example", product="product-…", purpose="inclusive-finance", key="gsk_…") as client:
        answer = client.verify({"credit_code": "…", "name": "…"})
        print(answer.result, answer.receipt["call"])

Products that answer with the subject's consent only take its token: ``client.lookup({…}, consent="gsc1.…").content``.

Data packages and reports are files: ``client.download("table.csv")``. Called again after a failure it goes on where it
stopped; all parts of a download are one call.

More records than a batch holds can be left with the gateway: ``task = client.submit_bulk(rows).task``, then ``client.bulk_state(task)``
and ``client.bulk_results(task)``.

A call that was not answered, or was turned away for a while (429, 503), is sent again with the same request id: the gateway
answers it once and charges it once. ``AsyncClient`` is the same for asyncio.
"""

from gongshu.client.calls import AsyncClient, Client
from gongshu.client.conversation import (
    Account,
    Answer,
    BulkState,
    Item,
    Refused,
    Unanswered,
    is_worth_retrying,
    request_of,
    wait_seconds,
)
from gongshu.client.downloads import Downloaded

__all__ = [
    "Account",
    "Answer",
    "AsyncClient",
    "BulkState",
    "Client",
    "Downloaded",
    "Item",
    "Refused",
    "Unanswered",
    "is_worth_retrying",
    "request_of",
    "wait_seconds",
]

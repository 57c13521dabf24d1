"""What delivery offers: keys, the policy snapshot, and the gateway that serves from it."""

from gongshu.delivery.rules import (
    ACTION_OF_KIND,
    ACTIONS,
    BATCH_BYTES_MAX,
    BODY_BYTES_MAX,
    BODY_TOO_LONG,
    BULK_BYTES_MAX,
    FILE_ACTIONS,
    GATEWAY_BUSY,
    GATEWAY_ROUTE_UNKNOWN,
    NDI_CODES,
    NDI_OK,
    REQUEST_ID,
    inputs_of,
    ndi_code,
)
from gongshu.delivery.service.batches import item_line
from gongshu.delivery.service.copying import DeliveredFile
from gongshu.delivery.service.keys import (
    contracts_with_keys,
    create_key,
    list_calls,
    list_keys,
    revoke_key,
    stop_under_in,
)
from gongshu.delivery.service.leaks import trace_copy, trace_upload
from gongshu.delivery.service.measures import CONTENT_TYPE as METRICS_TYPE
from gongshu.delivery.service.serving import Gateway
from gongshu.delivery.service.snapshots import publish_snapshot
from gongshu.delivery.service.traces import TracesMissing, open_tracing

__all__ = [
    "ACTIONS",
    "ACTION_OF_KIND",
    "BATCH_BYTES_MAX",
    "BODY_BYTES_MAX",
    "BODY_TOO_LONG",
    "BULK_BYTES_MAX",
    "FILE_ACTIONS",
    "GATEWAY_BUSY",
    "GATEWAY_ROUTE_UNKNOWN",
    "METRICS_TYPE",
    "NDI_CODES",
    "NDI_OK",
    "REQUEST_ID",
    "DeliveredFile",
    "Gateway",
    "TracesMissing",
    "contracts_with_keys",
    "create_key",
    "inputs_of",
    "item_line",
    "list_calls",
    "list_keys",
    "ndi_code",
    "open_tracing",
    "publish_snapshot",
    "revoke_key",
    "stop_under_in",
    "trace_copy",
    "trace_upload",
]

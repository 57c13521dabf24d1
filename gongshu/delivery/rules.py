"""Who gets a key, which snapshot is believed, and what a product call must be like.

Beside each code that a caller may see stands the return code of NDI-TR-2025-05 (parameters §13).
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec

from gongshu.access.types import Actor
from gongshu.base.days import Period
from gongshu.base.decisions import NOT_FOUND, Decision, Denied, Kind, Permitted, Reason, decide, rule
from gongshu.delivery.types import ApiKey, InputField, SnapshotContract, SnapshotHead
from gongshu.metering.types import ANSWERED, ResultCode
from gongshu.products.types import Contract, ContractStatus, Definition, ProductKind

KEYS_PER_CONTRACT_MAX = 20
FIELD_CHARS_MAX = 200
BODY_BYTES_MAX = 16 * 1024
BATCH_ITEMS_MAX, BATCH_BYTES_MAX = 1_000, 1 << 20
BULK_ITEMS_MAX, BULK_BYTES_MAX = 100_000, 32 << 20
BULK_TASKS_MAX = 4
BULK_KEPT = timedelta(hours=24)
CLOCK_SKEW_MAX = timedelta(seconds=60)
REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")

# ------------------------------------------------------------------------------------------------- keys: the refusals

KEY_CONTRACT_NOT_PERFORMING = rule(
    "key-contract-not-performing", Kind.CONFLICT, zh="合约 {contract} 不在履行中（{status}），不能创建密钥。",
    en="The contract {contract} is {status}; keys are made while it is performed.",
    fix_zh="请在双方签署后创建；已终止的请重新订购。", fix_en="Wait until both sides have signed, or order again.",
    law="TC609-6-2025-14 §10.1",
)  # fmt: skip
KEYS_TOO_MANY = rule(
    "keys-too-many", Kind.LIMIT_EXCEEDED, zh="合约 {contract} 已有 {limit} 个有效密钥。",
    en="The contract {contract} has {limit} keys in use.",
    fix_zh="请先吊销不再使用的密钥。", fix_en="Revoke one that is no longer used.",
)  # fmt: skip
KEY_REVOKED_ALREADY = rule(
    "key-revoked-already", Kind.CONFLICT, zh="密钥 {key} 已被吊销。", en="The key {key} is revoked already.",
    fix_zh="无需再次操作。", fix_en="There is nothing left to do.",
)  # fmt: skip

# ------------------------------------------------------------------------------------------------ calls: the refusals

KEY_MISSING = rule(
    "key-missing", Kind.UNAUTHENTICATED, zh="请求没有携带密钥。", en="The call carries no key.",
    fix_zh="请在 Authorization 头中写明 Bearer 和密钥。", fix_en="Send the header Authorization: Bearer <key>.",
)  # fmt: skip
KEY_UNKNOWN = rule(
    "key-unknown", Kind.UNAUTHENTICATED, zh="密钥不存在或已吊销。", en="The key is not known or was revoked.",
    fix_zh="请核对密钥，或为合约创建新的密钥。", fix_en="Check the key, or create a new one for the contract.",
)  # fmt: skip
GRANT_ENDED = rule(
    "grant-ended", Kind.FORBIDDEN, zh="该产品所依据的授权已终止，服务自终止之时停止。",
    en="The authorization that this product rests on has ended; service stopped with it.",
    fix_zh="请与运营机构联系；以后的授权需另订合约。",
    fix_en="Ask the operator; a later authorization needs a contract of its own.", law="27号 art.14",
)  # fmt: skip
CONTRACT_STOPPED = rule(
    "contract-stopped", Kind.FORBIDDEN, zh="合约已终止。", en="The contract has ended.",
    fix_zh="请与运营机构联系或重新订购。", fix_en="Ask the operator, or order again.", law="TC609-6-2025-14 §10.1",
)  # fmt: skip
SIGNATURE_INVALID = rule(
    "signature-invalid", Kind.UNAUTHENTICATED, zh="请求签名不正确。", en="The signature of the request is not right.",
    fix_zh="请按接口说明对方法、路径、时间、随机数、请求编号、用途和请求体摘要签名。",
    fix_en="Sign method, path, time, nonce, request id, purpose and body digest as the reference says.",
)  # fmt: skip
SIGNATURE_STALE = rule(
    "signature-stale", Kind.UNAUTHENTICATED, zh="签名时间不在 {seconds} 秒之内，或早于网关启动。",
    en="The request was not signed within the last {seconds} seconds, or before the gateway started.",
    fix_zh="请校准时钟后重新签名，并使用同一请求编号。", fix_en="Check the clock and sign again, with the same request id.",
)  # fmt: skip
NONCE_REPEATED = rule(
    "nonce-repeated", Kind.UNAUTHENTICATED, zh="该随机数已使用过，可能是重放。", en="The nonce was used before; this may be a replay.",
    fix_zh="每次发送（包括重试）请使用新的随机数并重新签名。",
    fix_en="Use a fresh nonce and sign again each time you send, also when you retry.",
)  # fmt: skip
PRODUCT_UNKNOWN = rule(
    "product-unknown", Kind.NOT_FOUND, zh="该密钥的合约下没有这个产品。",
    en="There is no such product under this key's contract.",
    fix_zh="请核对产品编号和密钥。", fix_en="Check the product's id and the key.",
)  # fmt: skip
REQUEST_ID_MISSING = rule(
    "request-id-missing", Kind.INVALID, zh="请求没有编号。", en="The call has no request id.",
    fix_zh="请在 X-Request-Id 头中给出每次调用不同的编号，重试时使用同一编号。",
    fix_en="Send X-Request-Id: a fresh one for each call, the same one when you retry.",
)  # fmt: skip
REQUEST_ID_INVALID = rule(
    "request-id-invalid", Kind.INVALID, zh="请求编号格式不正确。", en="The request id is not well formed.",
    fix_zh="请使用 1 至 64 个字母、数字或 . _ : - ，以字母或数字开头。",
    fix_en="Use 1 to 64 letters, digits, or . _ : - and begin with a letter or digit.",
)  # fmt: skip
REQUEST_ID_REUSED = rule(
    "request-id-reused", Kind.CONFLICT, zh="该请求编号已用于另一次内容不同的调用。",
    en="This request id was used for a call with other content.",
    fix_zh="新的调用请使用新的编号。", fix_en="Use a fresh request id for another call.",
)  # fmt: skip
PURPOSE_MISSING = rule(
    "purpose-missing", Kind.INVALID, zh="请求没有写明用途。", en="The call does not say what it is for.",
    fix_zh="请在请求体的 purpose 或 X-Purpose 头中写明合约约定的用途。",
    fix_en="State a purpose of the contract in the body's purpose or in X-Purpose.", law="TC609-6-2025-14 (purpose)",
)  # fmt: skip
BODY_EMPTY = rule(
    "body-empty", Kind.INVALID, zh="请求体为空。", en="The body is empty.",
    fix_zh="请以 JSON 发送该产品的各字段。", fix_en="Send the product's fields as JSON.",
)  # fmt: skip
BODY_INVALID = rule(
    "body-invalid", Kind.INVALID, zh="请求体不是所要求的 JSON。", en="The body is not the JSON that is expected.",
    fix_zh="请发送一个 JSON 对象，名称为产品的字段，值为文本。",
    fix_en="Send one JSON object: names are the product's fields, values are texts.",
)  # fmt: skip
BODY_TOO_LONG = rule(
    "body-too-long", Kind.INVALID, zh="请求体超过 {bytes_max} 字节。", en="The body is longer than {bytes_max} bytes.",
    fix_zh="请减小请求体。", fix_en="Send a shorter body.",
)  # fmt: skip
BATCH_INVALID = rule(
    "batch-invalid", Kind.INVALID, zh="批量请求体不是所要求的 JSON。", en="The body of the batch is not the JSON that is expected.",
    fix_zh='请发送 {{"items": [{{"id": "…", "fields": {{…}}}}]}}。', fix_en='Send {{"items": [{{"id": "…", "fields": {{…}}}}]}}.',
)  # fmt: skip
BATCH_SIZE = rule(
    "batch-size", Kind.INVALID, zh="一批有 {items} 项，应为 1 至 {items_max} 项。",
    en="A batch of {items} items; it must have 1 to {items_max}.",
    fix_zh="请分批发送。", fix_en="Send several batches.",
)  # fmt: skip
BATCH_ID_TWICE = rule(
    "batch-id-twice", Kind.INVALID, zh="同一批中有重复的编号。", en="An id stands twice in one batch.",
    fix_zh="请为每一项使用不同的编号。", fix_en="Give each item an id of its own.",
)  # fmt: skip
BULK_UNKNOWN = rule(
    "bulk-unknown", Kind.NOT_FOUND, zh="没有这个批量任务，或其结果已过保存期限。",
    en="There is no such bulk task, or its results are kept no longer.",
    fix_zh="请核对任务编号，并使用创建任务的合约的密钥。", fix_en="Check its id, and use a key of the contract that it was made under.",
)  # fmt: skip
BULK_TOO_MANY = rule(
    "bulk-too-many", Kind.LIMIT_EXCEEDED, zh="该合约已有 {limit} 个未完成的批量任务。",
    en="The contract has {limit} bulk tasks under way.",
    fix_zh="请等待其中一个完成，或删除它。", fix_en="Wait for one of them to end, or delete it.",
)  # fmt: skip
BULK_DAMAGED = rule(
    "bulk-damaged", Kind.INTERNAL, zh="批量任务的文件已损坏，剩余各项未查询，也未计费。",
    en="The files of the bulk task are damaged; the items left were not asked and are not charged.",
    fix_zh="请以新的请求编号重新提交剩余各项，并告知平台。",
    fix_en="Send the items that are left with a new request id, and tell the platform.",
)  # fmt: skip
CALL_FIELD_MISSING = rule(
    "call-field-missing", Kind.INVALID, zh="缺少必填字段 {field}。", en="The field {field} is required.",
    fix_zh="请补充该字段。", fix_en="Add the field.",
)  # fmt: skip
CALL_FIELDS_UNKNOWN = rule(
    "call-fields-unknown", Kind.INVALID, zh="有 {count} 个字段不属于该产品。",
    en="{count} of the fields do not belong to this product.",
    fix_zh="请只发送：{fields}。", fix_en="Send only: {fields}.",
)  # fmt: skip
CALL_FIELD_TOO_LONG = rule(
    "call-field-too-long", Kind.INVALID, zh="字段 {field} 超过 {limit} 个字符。",
    en="The field {field} is longer than {limit} characters.",
    fix_zh="请核对该字段。", fix_en="Check the field.",
)  # fmt: skip
GATEWAY_ROUTE_UNKNOWN = rule(
    "gateway-route-unknown", Kind.NOT_FOUND, zh="网关没有这个地址或方法。", en="The gateway has no such address or method.",
    fix_zh="调用：POST /v1/products/〈产品编号〉/〈动作〉，动作因产品类型而异，如 verify、lookup、query。",
    fix_en="To call: POST /v1/products/<product id>/<action>; the action goes with the kind, as verify, lookup or query.",
)  # fmt: skip
SNAPSHOT_MISSING = rule(
    "snapshot-missing", Kind.UNAVAILABLE, zh="网关尚未取得策略快照。", en="The gateway has no policy snapshot yet.",
    fix_zh="请稍后重试。", fix_en="Try again later.",
)  # fmt: skip
SNAPSHOT_TOO_OLD = rule(
    "snapshot-too-old", Kind.UNAVAILABLE, zh="网关的策略快照已过期，不能确认授权是否仍然有效。",
    en="The gateway's policy snapshot is too old to know what is still permitted.",
    fix_zh="请稍后重试；持续出现请联系平台。", fix_en="Try again later; tell the platform if it goes on.",
)  # fmt: skip
SNAPSHOT_DAMAGED = rule(
    "snapshot-damaged", Kind.UNAVAILABLE, zh="网关的策略快照有一部分缺失或损坏。",
    en="A part of the gateway's policy snapshot is missing or damaged.",
    fix_zh="请稍后重试；平台会重新发布快照。", fix_en="Try again later; the platform publishes it anew.",
)  # fmt: skip
PRODUCT_UNAVAILABLE = rule(
    "product-unavailable", Kind.UNAVAILABLE, zh="该产品的文件暂不可用。", en="The product's file is not available now.",
    fix_zh="请稍后重试；持续出现请联系平台。", fix_en="Try again later; tell the platform if it goes on.",
)  # fmt: skip
COPY_UNKNOWN = rule(
    "copy-unknown", Kind.NOT_FOUND, zh="该文件的行不在本机构任何已出域的数据包中。",
    en="The rows of this file stand in none of the released tables that you deliver.",
    fix_zh="请核对文件；若各列都被改写，则无法比对。", fix_en="Check the file; where every column was rewritten, nothing can be compared.",
)  # fmt: skip
COPY_FORMAT_UNKNOWN = rule(
    "copy-format-unknown", Kind.INVALID, zh="只能追查 CSV、Parquet、Excel 文件。", en="Copies are traced in CSV, Parquet and Excel.",
    fix_zh="请另存为 CSV，保持各行的先后次序。", fix_en="Save it as CSV, rows in the order in which they stand.",
)  # fmt: skip
FORMAT_UNKNOWN = rule(
    "format-unknown", Kind.INVALID, zh="没有这种文件格式。", en="There is no such format.",
    fix_zh="可选：{formats}。", fix_en="Choose one of: {formats}.",
)  # fmt: skip
TABLE_TOO_LONG = rule(
    "table-too-long", Kind.LIMIT_EXCEEDED, zh="该表有 {rows} 行，超过 Excel 工作表的 {rows_max} 行。",
    en="The table has {rows} rows; a worksheet holds {rows_max}.",
    fix_zh="请选择 CSV 或 Parquet。", fix_en="Choose CSV or Parquet.",
)  # fmt: skip
COPY_BEING_MADE = rule(
    "copy-being-made", Kind.UNAVAILABLE, zh="文件正在生成。", en="The file is being made.",
    fix_zh="请在 Retry-After 之后以同一请求编号重试；未计费。",
    fix_en="Try again after Retry-After with the same request id; nothing was charged.",
)  # fmt: skip
ANSWER_GONE = rule(
    "answer-gone", Kind.CONFLICT, zh="该请求编号的调用已记录为 {call}，但其答复不能再次给出；不会再次计费。",
    en="The call with this request id is on record as {call}, but its answer cannot be given again; it is not charged again.",
    fix_zh="请以新的请求编号重新调用，或凭记录位置与运营机构联系。",
    fix_en="Call again with a fresh request id, or ask the operator, naming the record.",
)  # fmt: skip
DISK_FULL = rule(
    "disk-full", Kind.UNAVAILABLE, zh="无法记录用量，因此不作答复，也不计费。",
    en="Usage cannot be recorded, so nothing is answered and nothing charged.",
    fix_zh="请稍后以同一请求编号重试。", fix_en="Try again later with the same request id.",
)  # fmt: skip
DISK_FAILED = rule(
    "disk-failed", Kind.UNAVAILABLE, zh="用量存储故障，因此不作答复，也不计费。",
    en="The store of usage has failed, so nothing is answered and nothing charged.",
    fix_zh="请稍后以同一请求编号重试。", fix_en="Try again later with the same request id.",
)  # fmt: skip
GATEWAY_BUSY = rule(
    "gateway-busy", Kind.UNAVAILABLE, zh="网关繁忙，该次调用未受理。", en="The gateway is busy; the call was not taken.",
    fix_zh="请在 Retry-After 之后以同一请求编号重试。", fix_en="Try again after Retry-After with the same request id.",
)  # fmt: skip
CALL_FAILED = rule(
    "call-failed", Kind.INTERNAL, zh="查询失败，不计费。", en="The look-up failed; it is not charged.",
    fix_zh="请以同一请求编号重试；持续出现请联系平台。",
    fix_en="Try again with the same request id; tell the platform if it goes on.",
)  # fmt: skip

UNAVAILABLE = {rule.code: rule for rule in (DISK_FULL, DISK_FAILED, GATEWAY_BUSY)}
"""By the code with which the meter says that it can take no record."""

NDI_OK = 10000
NDI_UNKNOWN = 13000
NDI_CODES: dict[str, int] = {
    "body-empty": 11001, "body-invalid": 11003, "request-id-invalid": 11003, "request-id-reused": 11003,
    "call-fields-unknown": 11003, "body-too-long": 11004, "call-field-too-long": 11004, "call-field-missing": 11005,
    "request-id-missing": 11005, "purpose-missing": 11005,
    "signature-invalid": 12001, "signature-stale": 12001, "nonce-repeated": 12001, "signature-needed": 12001,
    "address-not-agreed": 12001, "certificate-not-agreed": 12001, "outside-hours": 12001, "fields-not-agreed": 12001,
    "bulk-unknown": 12005, "bulk-too-many": 12010, "bulk-damaged": 13000,
    "batch-invalid": 11003, "batch-size": 11004, "batch-id-twice": 11003,
    "key-missing": 12001, "key-unknown": 12001, "purpose-not-agreed": 12001, "contract-not-yet": 12001,
    "contract-expired": 12002, "contract-stopped": 12002, "grant-ended": 12002,
    "product-unknown": 12005, "product-unavailable": 12005, "gateway-route-unknown": 12005, "snapshot-missing": 12005,
    "contract-moving": 12005, "contract-elsewhere": 12005, "lease-ended": 12005, "peer-away": 12005,
    "snapshot-too-old": 12005, "snapshot-damaged": 12005, "disk-full": 12005, "disk-failed": 12005,
    "calls-used-up": 12007, "calls-used-up-today": 12008, "too-many-per-second": 12010, "gateway-busy": 12010,
    "parameter-invalid": 11002, "period-invalid": 11002, "model-value-invalid": 11002, "answer-too-long": 11004,
    "answer-too-slow": 13000, "copy-being-made": 12010, "format-unknown": 11002, "table-too-long": 11002,
    "consent-missing": 12001, "consent-invalid": 12001, "consent-withdrawn": 12001, "consent-other-subject": 12001,
    "consent-other-consumer": 12001, "consent-other-purpose": 12001, "consent-other-product": 12001,
    "consent-not-yet": 12001, "consent-expired": 12002, "call-failed": 13000, "answer-gone": 12005,
}  # fmt: skip
"""Return codes of NDI-TR-2025-05: 11xxx parameters, 12xxx system, 13xxx business."""


def ndi_code(code: str) -> int:
    """Return the NDI-TR-2025-05 number for a refusal's code."""
    return NDI_CODES.get(code, NDI_UNKNOWN)


# ------------------------------------------------------------------------------------------------------------- keys


def decide_create_key(contract: Contract, key: ApiKey, in_use: int) -> Decision[ApiKey]:
    """A key is made by the consumer of a contract that is being performed."""
    if key.party != contract.terms.consumer:
        return Denied((NOT_FOUND.because(kind="contract", id=contract.id),))
    is_performing = contract.status is ContractStatus.PERFORMING
    return decide(
        key,
        None if is_performing else KEY_CONTRACT_NOT_PERFORMING.because(contract=contract.id, status=contract.status),
        KEYS_TOO_MANY.because(contract=contract.id, limit=KEYS_PER_CONTRACT_MAX)
        if in_use >= KEYS_PER_CONTRACT_MAX
        else None,
    )


def decide_revoke_key(key: ApiKey, actor: Actor, now: datetime) -> Decision[ApiKey]:
    """A key is revoked by the organisation that holds it."""
    if key.party != actor.party:
        return Denied((NOT_FOUND.because(kind="key", id=key.id),))
    return decide(
        replace(key, revoked_at=now), None if key.revoked_at is None else KEY_REVOKED_ALREADY.because(key=key.id)
    )


# --------------------------------------------------------------------------------------------------------- snapshots

SNAPSHOT_ROLLED_BACK = rule(
    "snapshot-rolled-back", Kind.CONFLICT, zh="策略快照 {number} 早于已使用的 {seen}。",
    en="The policy snapshot {number} is older than {seen}, which was in use.",
    fix_zh="请重新发布快照，并查明旧快照的来源。", fix_en="Publish again, and find out where the old one came from.",
)  # fmt: skip

STOP_CODES = {"product-grant-ended": "grant-ended"}


def stop_code(reasons: tuple[Reason, ...]) -> str:
    """Return why a contract is served no longer, from the reasons of ``products``; its period is the clock's affair."""
    codes = [reason.code for reason in reasons if reason.code != "contract-period-over"]
    ended = [STOP_CODES[code] for code in codes if code in STOP_CODES]
    return (ended or ["contract-stopped"])[0] if codes else ""


def decide_adopt(candidate: SnapshotHead, seen: tuple[int, datetime] | None) -> Decision[SnapshotHead]:
    """A verified snapshot is adopted when it is later than every one seen: by number, then by the time of issue."""
    is_older = seen is not None and (candidate.number, candidate.issued_at) < seen
    number = seen[0] if seen is not None else 0
    return decide(candidate, SNAPSHOT_ROLLED_BACK.because(number=candidate.number, seen=number) if is_older else None)


def life_of(snapshot: SnapshotHead) -> Period:
    """Return when ``snapshot`` may be served from. Before its issue a clock is wrong, which is as bad as its age."""
    return Period(snapshot.issued_at - CLOCK_SKEW_MAX, snapshot.issued_at + timedelta(seconds=snapshot.age_seconds_max))


# ------------------------------------------------------------------------------------------------------------- calls

_decode_body = msgspec.json.Decoder(dict[str, str]).decode


def decide_body(body: bytes) -> Decision[dict[str, str]]:
    """Read the body of a call. Nothing of it is repeated in a refusal."""
    if not body:
        return Denied((BODY_EMPTY.because(),))
    try:
        return Permitted(_decode_body(body))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return Denied((BODY_INVALID.because(),))


@dataclass(frozen=True)
class FieldNames:
    """The names of a product's input fields, ready for a quick look."""

    known: frozenset[str]
    required: tuple[str, ...]


ACTION_OF_KIND: dict[ProductKind, str] = {
    ProductKind.VERIFY: "verify", ProductKind.LOOKUP: "lookup", ProductKind.QUERY: "query",
    ProductKind.TABLE: "download", ProductKind.REPORT: "report", ProductKind.INDEX: "series",
    ProductKind.MODEL: "predict",
}  # fmt: skip
"""The last part of the path of a call, by the kind of its product."""

ACTIONS = frozenset(ACTION_OF_KIND.values())
FILE_KINDS = frozenset({ProductKind.TABLE, ProductKind.REPORT})
"""Kinds that are delivered as a file of the buyer's own; they are not asked for in batches."""
FILE_ACTIONS = frozenset(ACTION_OF_KIND[kind] for kind in FILE_KINDS)
WORTH_WAITING = frozenset({"too-many-per-second", "copy-being-made"})
"""Refusals that will be gone in a second."""


def inputs_of(kind: ProductKind, definition: Definition) -> tuple[InputField, ...]:
    """Return the input fields of calls to a product of ``kind``."""
    if kind is ProductKind.VERIFY and definition.verification is not None:
        return tuple(InputField(field.name, field.is_required) for field in definition.verification.fields)
    if kind is ProductKind.LOOKUP and definition.lookup is not None:
        return tuple(InputField(key.name, is_required=True) for key in definition.lookup.keys)
    if kind is ProductKind.QUERY and definition.query is not None:
        return tuple(InputField(parameter.name, is_required=True) for parameter in definition.query.parameters)
    if kind is ProductKind.INDEX and definition.series is not None:
        names = ("from", "to", *(("dimension",) if definition.series.dimension else ()))
        return tuple(InputField(name, is_required=False) for name in names)
    if kind is ProductKind.MODEL and definition.model is not None:
        return tuple(InputField(field.name, is_required=True) for field in definition.model.inputs)
    if kind in FILE_KINDS:
        return (InputField("format", is_required=False),)
    return ()


def names_of(inputs: tuple[InputField, ...]) -> FieldNames:
    """Return the names of ``inputs``."""
    return FieldNames(
        frozenset(field.name for field in inputs), tuple(field.name for field in inputs if field.is_required)
    )


def are_plainly_right(fields: dict[str, str], names: FieldNames) -> bool:
    """Whether nothing is wrong with the input fields: the quick way for nearly every call; else ask ``field_reasons``."""
    for name, value in fields.items():
        if name not in names.known or not 0 < len(value) <= FIELD_CHARS_MAX or value.isspace():
            return False
    return all(name in fields for name in names.required)


def field_reasons(fields: dict[str, str], inputs: tuple[InputField, ...]) -> tuple[Reason, ...]:
    """Return what is wrong with the input fields. Only names that the product defines are repeated."""
    known = {field.name for field in inputs}
    unknown = len(fields.keys() - known)
    reasons = [
        CALL_FIELD_MISSING.because(field=field.name)
        for field in inputs
        if field.is_required and not fields.get(field.name, "").strip()
    ]
    reasons += [
        CALL_FIELD_TOO_LONG.because(field=name, limit=FIELD_CHARS_MAX)
        for name, value in fields.items()
        if name in known and len(value) > FIELD_CHARS_MAX
    ]
    if unknown:
        named = ", ".join(field.name for field in inputs) or "—"
        reasons.append(CALL_FIELDS_UNKNOWN.because(count=unknown, fields=named))
    return tuple(reasons)


def request_id_reason(request_id: str) -> Reason | None:
    """Return what is wrong with a request id, or ``None``."""
    if not request_id:
        return REQUEST_ID_MISSING.because()
    return None if REQUEST_ID.fullmatch(request_id) else REQUEST_ID_INVALID.because()


def stop_reason(contract: SnapshotContract) -> Reason | None:
    """Return why a contract is served no longer, or ``None``."""
    if not contract.stop_code:
        return None
    return (GRANT_ENDED if contract.stop_code == GRANT_ENDED.code else CONTRACT_STOPPED).because()


def but_purpose(reasons: tuple[Reason, ...]) -> tuple[Reason, ...]:
    """Leave out that the purpose is not agreed: that it is missing was said."""
    return tuple(reason for reason in reasons if reason.code != "purpose-not-agreed")


def is_charged(contract: SnapshotContract, result: ResultCode) -> bool:
    """Match and mismatch charge, no record by the product's rule, refusals and errors never; a free contract nothing."""
    if contract.is_free or result not in ANSWERED:
        return False
    return contract.charges_no_record or result is not ResultCode.NO_RECORD

"""What may become a product of a released table or model, and how the input of its calls is read. Pure.

What was released may be seen by its buyer: nothing is protected here any more. What is decided is that a statement is one
query of known constructs, that columns are what a definition takes them for, and that a model is plain arithmetic.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from gongshu.base.decisions import Decision, Denied, Kind, Permitted, Reason, decide, rule
from gongshu.base.ids import ResourceId
from gongshu.catalog.types import DataType
from gongshu.compute.rules.parameters import LITERALS
from gongshu.compute.rules.refusals import PARAMETER_INVALID
from gongshu.compute.rules.statement import decide_query
from gongshu.compute.types import (
    Frequency,
    ModelDefinition,
    ModelInput,
    ModelTensor,
    QueryDefinition,
    Relation,
    RelationColumn,
    SeriesDefinition,
)
from gongshu.policies.types import ColumnPolicy, ResourcePolicy, Thresholds, Use

RELEASED = "released"
NO_THRESHOLDS = Thresholds(units_min=1, dominance_p_percent=0, dominance_top_n=1, dominance_top_percent=100)
NUMBERS = frozenset({DataType.INTEGER, DataType.DECIMAL})
PERIODS: Mapping[Frequency, re.Pattern[str]] = {
    Frequency.YEAR: re.compile(r"\d{4}", re.ASCII),
    Frequency.QUARTER: re.compile(r"\d{4}-Q[1-4]", re.ASCII),
    Frequency.MONTH: re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII),
    Frequency.DAY: re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])", re.ASCII),
}
PERIOD_FIELDS, DIMENSION_FIELD = ("from", "to"), "dimension"
MODEL_INPUTS_MAX = 1_000
ELEMENTS = frozenset({"float", "double", "int64", "int32", "string", "bool"})
TEXT_CHARACTERS_MAX = 200
_OPERATORS = """
    Abs Add And ArgMax ArgMin ArrayFeatureExtractor Binarizer Cast CastMap CategoryMapper Ceil Clip Concat
    Constant Div Elu Equal Erf Exp FeatureVectorizer Flatten Floor Gather Gelu Gemm Greater GreaterOrEqual
    HardSigmoid Identity Imputer LabelEncoder LayerNormalization LeakyRelu Less LessOrEqual LinearClassifier
    LinearRegressor Log LogSoftmax MatMul Max Mean Min Mod Mul Neg Normalizer Not OneHotEncoder Or Pow PRelu
    Reciprocal ReduceL1 ReduceL2 ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
    ReduceSumSquare Relu Reshape Round Scaler Selu Shape Sigmoid Sign Slice Softmax Softplus Softsign Split Sqrt
    Squeeze Sub Sum Tanh TopK Transpose TreeEnsemble TreeEnsembleClassifier TreeEnsembleRegressor Unsqueeze Where
    Xor ZipMap
"""
OPERATORS = frozenset(_OPERATORS.split())
"""Operators of tabular models. None repeats others, reads a file, draws at random, or makes an array of a size that its
input chooses."""

RELEASED_COLUMN_UNKNOWN = rule(
    "released-column-unknown", Kind.INVALID, zh="已出域的表中没有可作“{role}”的列 {column}。",
    en="The released table has no column {column} that can be the {role}.",
    fix_zh="可选：{known}。", fix_en="Choose one of: {known}.",
)  # fmt: skip
QUERY_PARAMETERS_RESERVED = rule(
    "query-parameter-reserved", Kind.INVALID, zh="查询产品的参数须有名称，且不能叫 purpose：{name}。",
    en="A parameter of a query product has a name, and not the name purpose: {name}.",
    fix_zh="请写作 $名称。", fix_en="Write it as $name.",
)  # fmt: skip
QUERY_CANNOT_RUN = rule(
    "query-cannot-run", Kind.INVALID, zh="语句用示例值运行失败（{failure}）。", en="The statement fails on its example values ({failure}).",
    fix_zh="请核对参数的类型和示例值。", fix_en="Check the types of the parameters and their examples.",
)  # fmt: skip
SERIES_PERIODS_INVALID = rule(
    "series-periods-invalid", Kind.INVALID, zh="有 {count} 行的时期不是“{frequency}”的写法，或同一时期有两个值。",
    en="{count} rows do not have a period written as one of a {frequency}, or repeat one.",
    fix_zh="年写作 2026，季写作 2026-Q3，月写作 2026-03，日写作 2026-03-31；有多个系列时请指明维度列。",
    fix_en="Write 2026, 2026-Q3, 2026-03 or 2026-03-31; where there are several series, name the column that tells them apart.",
)  # fmt: skip
SERIES_EMPTY = rule(
    "series-empty", Kind.INVALID, zh="该表没有可用的数值。", en="The table holds no value.",
    fix_zh="请核对所选的列。", fix_en="Check the columns.",
)  # fmt: skip
PERIOD_INVALID = rule(
    "period-invalid", Kind.INVALID, zh="字段 {field} 不是“{frequency}”的写法。", en="The field {field} is not the period of a {frequency}.",
    fix_zh="年写作 2026，季写作 2026-Q3，月写作 2026-03，日写作 2026-03-31。",
    fix_en="Write 2026, 2026-Q3, 2026-03 or 2026-03-31.",
)  # fmt: skip
MODEL_REFUSED = rule(
    "model-refused", Kind.FORBIDDEN, zh="模型不能作为服务提供：{fault}。", en="The model cannot be served: {fault}.",
    fix_zh="请只用标准域的表格模型算子，参数保存在文件内，一行输入对应一行输出。",
    fix_en="Use operators of tabular models in the standard domain, keep parameters in the file, one row in and one row out.",
)  # fmt: skip
MODEL_INPUT_INVALID = rule(
    "model-input-invalid", Kind.INVALID, zh="输入字段定义有误：{fault}。", en="The input fields are not right: {fault}.",
    fix_zh="每个输入张量的每个位置须恰有一个字段，名称不重复。",
    fix_en="Each place of each input tensor has exactly one field; names are not repeated.",
)  # fmt: skip
MODEL_VALUE_INVALID = rule(
    "model-value-invalid", Kind.INVALID, zh="字段 {field} 不是所要求的类型 {type}。", en="The field {field} is not of the type {type}.",
    fix_zh="数字不带分隔符，布尔写作 true 或 false。", fix_en="Write numbers without separators, truth as true or false.",
)  # fmt: skip
ANSWER_TOO_LONG = rule(
    "answer-too-long", Kind.LIMIT_EXCEEDED, zh="结果超过 {rows_max} 行或 {bytes_max} 字节，未返回也未计费。",
    en="The answer has more than {rows_max} rows or {bytes_max} bytes; it was not sent and not charged.",
    fix_zh="请用参数缩小范围。", fix_en="Narrow it by the parameters.",
)  # fmt: skip
ANSWER_TOO_SLOW = rule(
    "answer-too-slow", Kind.LIMIT_EXCEEDED, zh="计算超过 {seconds} 秒，已停止，未计费。",
    en="It took more than {seconds} seconds and was stopped; it is not charged.",
    fix_zh="请用参数缩小范围，或联系运营机构。", fix_en="Narrow it by the parameters, or ask the operator.",
)  # fmt: skip
SERVED_EXTRA_MISSING = rule(
    "served-extra-missing", Kind.UNAVAILABLE, zh="本平台没有安装 gongshu[{extra}]。", en="gongshu[{extra}] is not installed here.",
    fix_zh="请平台管理员安装后重试。", fix_en="Let the administrator install it.",
)  # fmt: skip

# ------------------------------------------------------------------------------------------------------------ query


def decide_statement(definition: QueryDefinition, columns: tuple[RelationColumn, ...]) -> Decision[QueryDefinition]:
    """Permit a statement over a released table if the gate knows all of it; the example values are part of it."""
    names = [parameter.name for parameter in definition.parameters]
    reserved = [QUERY_PARAMETERS_RESERVED.because(name=n) for n in names if n.isdigit() or n == "purpose"]
    if reserved:
        return Denied(tuple(reserved))
    policy = ResourcePolicy(tuple(ColumnPolicy(column.name, frozenset(Use)) for column in columns), ())
    relation = Relation(RELEASED, ResourceId(RELEASED), columns, policy)
    decision = decide_query((relation,), NO_THRESHOLDS, definition.statement, (), definition.parameters)
    if isinstance(decision, Denied):
        return decision
    return Permitted(replace(definition, columns=columns))


def read_values(definition: QueryDefinition, fields: Mapping[str, str]) -> Decision[dict[str, Any]]:
    """Return the typed value of each parameter. A value that is not of its type is refused and not repeated."""
    values, reasons = dict[str, Any](), list[Reason]()
    for parameter in definition.parameters:
        text = fields.get(parameter.name, "")
        if len(text) > parameter.characters_max or LITERALS[parameter.data_type](text) is None:
            reasons.append(
                PARAMETER_INVALID.because(
                    name=parameter.name, type=parameter.data_type.value, limit=parameter.characters_max
                )
            )
            continue
        values[parameter.name] = VALUES[parameter.data_type](text)
    return Denied(tuple(reasons)) if reasons else Permitted(values)


VALUES: Mapping[DataType, Callable[[str], Any]] = {
    DataType.TEXT: str, DataType.INTEGER: int, DataType.DECIMAL: Decimal, DataType.BOOLEAN: lambda text: text == "true",
    DataType.DATE: date.fromisoformat, DataType.TIMESTAMP: datetime.fromisoformat,
}  # fmt: skip

# ------------------------------------------------------------------------------------------------------------ index


def decide_series(definition: SeriesDefinition, columns: tuple[RelationColumn, ...]) -> Decision[SeriesDefinition]:
    """Permit a series whose columns are there: a period (text, date or whole number), a number, and a text if any."""
    of_kind = {
        "period": (definition.period, {DataType.TEXT, DataType.DATE, DataType.TIMESTAMP, DataType.INTEGER}),
        "value": (definition.value, NUMBERS),
        "dimension": (definition.dimension, set(DataType)),
    }
    reasons = []
    for role, (wanted, kinds) in of_kind.items():
        known = [column.name for column in columns if column.data_type in kinds]
        if wanted not in known and (wanted or role != "dimension"):
            reasons.append(
                RELEASED_COLUMN_UNKNOWN.because(role=role, column=wanted or "—", known=", ".join(known) or "—")
            )
    base = definition.base
    if base and PERIODS[definition.frequency].fullmatch(base) is None:
        reasons.append(PERIOD_INVALID.because(field="base", frequency=definition.frequency))
    return decide(definition, *reasons)


def period_text(value: Any, frequency: Frequency) -> str:
    """Return the period that a cell stands for, as the frequency writes it; an empty text when it is none."""
    if isinstance(value, date):  # a datetime too
        quarter = f"{value.year:04d}-Q{(value.month + 2) // 3}"
        shapes = {Frequency.YEAR: "%Y", Frequency.MONTH: "%Y-%m", Frequency.DAY: "%Y-%m-%d"}
        return quarter if frequency is Frequency.QUARTER else value.strftime(shapes[frequency])
    text = str(value).strip()
    return text if PERIODS[frequency].fullmatch(text) else ""


def read_bounds(definition: SeriesDefinition, fields: Mapping[str, str]) -> Decision[tuple[str, str]]:
    """Return the first and last period that are asked for; an empty text where there is no bound."""
    reasons = [
        PERIOD_INVALID.because(field=name, frequency=definition.frequency)
        for name in PERIOD_FIELDS
        if name in fields and PERIODS[definition.frequency].fullmatch(fields[name]) is None
    ]
    first, last = (fields.get(name, "") for name in PERIOD_FIELDS)
    return Denied(tuple(reasons)) if reasons else Permitted((first, last))


# ------------------------------------------------------------------------------------------------------------ model


def decide_operators(operators: frozenset[str]) -> Decision[frozenset[str]]:
    """Refuse operators that are not those of tabular models."""
    others = sorted(operators - OPERATORS)
    return decide(operators, MODEL_REFUSED.because(fault=", ".join(others)[:200]) if others else None)


def decide_model(
    definition: ModelDefinition, inputs: tuple[ModelTensor, ...], outputs: tuple[str, ...]
) -> Decision[ModelDefinition]:
    """Permit a model each of whose input places has one field; fields are named after the tensors when none are given."""
    odd = [tensor.name for tensor in inputs if tensor.element not in ELEMENTS or tensor.width < 1]
    if odd or sum(tensor.width for tensor in inputs) > MODEL_INPUTS_MAX:
        return Denied((MODEL_REFUSED.because(fault=f"input {', '.join(odd)[:200] or 'width'}"),))
    given = definition.inputs or tuple(_fields_of(inputs))
    places = {(tensor.name, place): tensor.element for tensor in inputs for place in range(tensor.width)}
    wanted = [(field.tensor, field.place) for field in given]
    names = [field.name for field in given]
    faults = []
    if sorted(wanted) != sorted(places):
        faults.append("places")
    if len(set(names)) != len(names) or not all(0 < len(name) <= TEXT_CHARACTERS_MAX for name in names):
        faults.append("names")
    if "purpose" in names:
        faults.append("purpose")
    if set(definition.outputs) - set(outputs):
        faults.append("outputs")
    if faults:
        return Denied(tuple(MODEL_INPUT_INVALID.because(fault=fault) for fault in faults))
    typed = tuple(replace(field, data_type=_type_of(places[field.tensor, field.place])) for field in given)
    return Permitted(ModelDefinition(typed, definition.outputs or outputs))


def _fields_of(inputs: tuple[ModelTensor, ...]) -> list[ModelInput]:
    return [
        ModelInput(tensor.name if tensor.width == 1 else f"{tensor.name}{place}", tensor.name, place)
        for tensor in inputs
        for place in range(tensor.width)
    ]


def _type_of(element: str) -> DataType:
    if element in {"int64", "int32"}:
        return DataType.INTEGER
    return {"string": DataType.TEXT, "bool": DataType.BOOLEAN}.get(element, DataType.DECIMAL)


def read_row(definition: ModelDefinition, fields: Mapping[str, str]) -> Decision[dict[str, list[Any]]]:
    """Return for each tensor the values of one row. A value that is not of its type is refused and not repeated."""
    rows, reasons = dict[str, list[tuple[int, Any]]](), list[Reason]()
    for field in definition.inputs:
        value = _model_value(fields.get(field.name, ""), field.data_type)
        if value is None:
            reasons.append(MODEL_VALUE_INVALID.because(field=field.name, type=field.data_type))
        else:
            rows.setdefault(field.tensor, []).append((field.place, value))
    if reasons:
        return Denied(tuple(reasons))
    return Permitted({name: [value for _, value in sorted(row)] for name, row in rows.items()})


def _model_value(text: str, kind: DataType) -> Any:
    if kind is DataType.TEXT:
        return text if text and len(text) <= TEXT_CHARACTERS_MAX and "\0" not in text else None
    if LITERALS[kind](text) is None:
        return None
    value = VALUES[kind](text)
    if kind is DataType.DECIMAL:
        return float(value) if math.isfinite(float(value)) else None
    if kind is DataType.INTEGER and not -(1 << 63) <= value < 1 << 63:
        return None
    return value

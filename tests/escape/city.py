"""A city's relations as statisticians meet them: Chinese names, uses by the grades' defaults, some hundreds of units."""

import random
from datetime import date, timedelta
from typing import Any

from gongshu.base.ids import ResourceId
from gongshu.catalog.types import DataType
from gongshu.compute.types import Relation, RelationColumn
from gongshu.policies.service import default_uses
from gongshu.policies.types import ColumnPolicy, Grade, ResourcePolicy, Use

SEED = 20260101
ENTERPRISES, RESIDENTS = 900, 1200
DISTRICTS = ("城东区", "城西区", "南山区", "滨海区", "高新区")
INDUSTRIES = ("制造业", "批发零售", "信息技术", "建筑业", "住宿餐饮", "交通运输")
KINDS = ("有限责任公司", "股份有限公司", "个体工商户", "合伙企业")
DISEASES = ("高血压", "糖尿病", "上呼吸道感染", "胃炎", "骨折")
GATES = tuple(f"{place}收费站" for place in ("东", "西", "南", "北", "机场"))

T, N, D, DAY, STAMP, FLAG = (
    DataType.TEXT, DataType.INTEGER, DataType.DECIMAL, DataType.DATE, DataType.TIMESTAMP, DataType.BOOLEAN,
)  # fmt: skip
ID, QUASI, SENSITIVE, PLAIN, OPEN = (
    Grade.DIRECT_IDENTIFIER, Grade.QUASI_IDENTIFIER, Grade.SENSITIVE, Grade.ORDINARY, Grade.OPEN,
)  # fmt: skip


def _relation(name: str, unit: tuple[str, ...], columns: dict[str, tuple[DataType, Grade]]) -> Relation:
    policies = []
    for column, (_, grade) in columns.items():
        uses = default_uses(grade) | ({Use.JOIN} if column == "区划代码" else frozenset())
        policies.append(ColumnPolicy(column, frozenset(uses)))
    described = tuple(RelationColumn(column, kind) for column, (kind, _) in columns.items())
    return Relation(name, ResourceId(f"resource-{name}"), described, ResourcePolicy(tuple(policies), unit))


COMPANIES = _relation("企业登记", ("统一社会信用代码",), {
    "统一社会信用代码": (T, ID), "企业名称": (T, ID), "行政区": (T, QUASI), "区划代码": (N, PLAIN), "行业": (T, PLAIN), "企业类型": (T, PLAIN),
    "成立日期": (DAY, QUASI), "注册资本": (D, PLAIN), "从业人数": (N, PLAIN), "是否注销": (FLAG, QUASI),
})  # fmt: skip
TAXES = _relation("纳税申报", ("统一社会信用代码",), {
    "统一社会信用代码": (T, ID), "税款所属期": (DAY, PLAIN), "税种": (T, PLAIN), "销售额": (D, PLAIN), "应纳税额": (D, SENSITIVE), "已缴税额": (D, PLAIN),
})  # fmt: skip
VISITS = _relation("门诊", ("身份证号",), {
    "身份证号": (T, ID), "就诊日期": (DAY, QUASI), "医院等级": (N, PLAIN), "病种": (T, QUASI), "费用": (D, PLAIN), "自付": (D, SENSITIVE), "年龄": (N, QUASI),
    "性别": (T, QUASI), "行政区": (T, QUASI),
})  # fmt: skip
INSURANCES = _relation("社保", ("身份证号",), {
    "身份证号": (T, ID), "统一社会信用代码": (T, ID), "缴费基数": (D, PLAIN), "参保月数": (N, PLAIN), "险种": (T, PLAIN),
})  # fmt: skip
PASSAGES = _relation("通行", ("车牌号",), {
    "车牌号": (T, ID), "通过时间": (STAMP, PLAIN), "收费站": (T, PLAIN), "车型": (N, PLAIN), "里程": (D, PLAIN), "通行费": (D, PLAIN),
})  # fmt: skip
AREAS = _relation("区划", (), {"区划代码": (N, OPEN), "行政区": (T, OPEN), "面积": (D, OPEN), "常住人口": (N, OPEN)})

RELATIONS = (COMPANIES, TAXES, VISITS, INSURANCES, PASSAGES, AREAS)


def rows_of(made: Relation) -> list[tuple[Any, ...]]:
    """Return the rows of a relation; the same every time."""
    draw = random.Random(f"{SEED} {made.name}")
    return list({
        "企业登记": _enterprises, "纳税申报": _taxes, "门诊": _visits, "社保": _insurances, "通行": _passages, "区划": _districts,
    }[made.name](draw))  # fmt: skip


def _day(draw: random.Random, first: date, days: int) -> str:
    return (first + timedelta(days=draw.randrange(days))).isoformat()


def _money(draw: random.Random, mean: float) -> str:
    return f"{mean * (0.5 + draw.random()):.2f}"


def _enterprises(draw: random.Random) -> list[tuple[Any, ...]]:
    found = []
    for i in range(ENTERPRISES):
        place = draw.randrange(len(DISTRICTS))
        founded = _day(draw, date(2005, 1, 1), 7000)
        found.append((
            f"E{i:05}", f"示例{i}公司", DISTRICTS[place], 450100 + place, draw.choice(INDUSTRIES), draw.choice(KINDS), founded,
            _money(draw, 500), draw.randrange(3, 60), draw.random() < 0.15,
        ))  # fmt: skip
    return found


def _taxes(draw: random.Random) -> list[tuple[Any, ...]]:
    found = []
    for i in range(ENTERPRISES):
        for month in draw.sample(range(1, 13), 3):
            kind = draw.choice(("增值税", "企业所得税", "城建税"))
            sales = _money(draw, 200)
            found.append((f"E{i:05}", f"2025-{month:02}-01", kind, sales, _money(draw, 20), _money(draw, 19)))
    return found


def _visits(draw: random.Random) -> list[tuple[Any, ...]]:
    found = []
    for i in range(RESIDENTS):
        for _ in range(draw.randrange(1, 4)):
            day, level = _day(draw, date(2025, 1, 1), 365), draw.randrange(1, 4)
            cost = (_money(draw, 300), _money(draw, 90))
            person = (draw.randrange(1, 95), draw.choice("男女"), draw.choice(DISTRICTS))
            found.append((f"P{i:05}", day, level, draw.choice(DISEASES), *cost, *person))
    return found


def _insurances(draw: random.Random) -> list[tuple[Any, ...]]:
    return [
        (f"P{i:05}", f"E{draw.randrange(ENTERPRISES):05}", _money(draw, 6000), draw.randrange(1, 360), draw.choice(("养老", "医疗")))
        for i in range(RESIDENTS)
    ]  # fmt: skip


def _passages(draw: random.Random) -> list[tuple[Any, ...]]:
    found = []
    for _ in range(2500):
        when = f"2025-06-{draw.randrange(1, 31):02} {draw.randrange(24):02}:{draw.randrange(60):02}:00"
        plate = f"示A{draw.randrange(700):05}"
        found.append((plate, when, draw.choice(GATES), draw.randrange(1, 5), _money(draw, 40), _money(draw, 25)))
    return found


def _districts(draw: random.Random) -> list[tuple[Any, ...]]:
    return [(450100 + i, name, _money(draw, 300), 100_000 * (i + 2)) for i, name in enumerate(DISTRICTS)]

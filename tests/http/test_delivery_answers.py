"""Queries, indices and models through the gateway: typed answers, charged once, and nothing that an attacker could use."""

import asyncio
import json
import logging
from decimal import Decimal

import duckdb
import pytest

from gongshu.base.decisions import Denied, Permitted
from gongshu.catalog.types import DataType
from gongshu.compute import service as compute
from gongshu.compute.types import (
    Frequency,
    ModelDefinition,
    ModelInput,
    QueryDefinition,
    SeriesDefinition,
    StatementParameter,
)
from gongshu.products.types import Definition, ProductKind
from tests.gateways import START, serving
from tests.served import ServedWorld, headers_of, path_of, write_table

STATEMENT = """
    SELECT region, count(*) AS rows_found, sum(amount) AS total, max(number) AS highest
    FROM released WHERE region = $region AND number >= $least GROUP BY region
"""
PARAMETERS = (
    StatementParameter("region", DataType.TEXT, "地区1", 20),
    StatementParameter("least", DataType.INTEGER, "10", 9),
)
PRICES = "SELECT * FROM (VALUES ('2026-01', '甲', 100.0), ('2026-02', '甲', 101.5), ('2026-03', '甲', 99), ('2026-01', '乙', 90), ('2026-02', '乙', NULL)) t(month, name, value)"


def completed(decision):
    assert isinstance(decision, Permitted), decision.reasons
    return decision.value


def codes(decision) -> list[str]:
    assert isinstance(decision, Denied)
    return [reason.code for reason in decision.reasons]


@pytest.fixture
def table(home):
    return write_table(home / "releases" / "release-1" / "result.parquet")


def world_of(home, clock, file, kind, definition) -> ServedWorld:
    clock.time = START
    made = ServedWorld(home, clock, file=file, kind=kind, definition=definition)
    made.publish()
    return made


def ask(world, action, *bodies, path=None):
    async def run():
        async with serving(world) as client:
            return [
                await client.post(path or path_of(action), headers=headers_of(f"r{place}"), json=body)
                for place, body in enumerate(bodies)
            ]

    return asyncio.run(run())


# ------------------------------------------------------------------------------------------------------------ query


def test_a_query_answers_with_types_and_exact_values(home, clock, table):
    definition = completed(compute.complete_query(table, QueryDefinition(STATEMENT, PARAMETERS)))
    world = world_of(home, clock, table, ProductKind.QUERY, Definition(query=definition))
    (answer,) = ask(world, "query", {"region": "地区2", "least": "100"})
    assert answer.status_code == 200, answer.text
    with duckdb.connect() as engine:
        wanted = engine.execute(
            f"SELECT count(*), sum(amount), max(number) FROM '{table}' WHERE region = '地区2' AND number >= 100"
        ).fetchone()
    body = json.loads(answer.text, parse_float=Decimal)
    assert body["content"] == {
        "columns": [
            {"name": "region", "type": "text"}, {"name": "rows_found", "type": "integer"},
            {"name": "total", "type": "decimal"}, {"name": "highest", "type": "integer"},
        ],
        "rows": [["地区2", *wanted]],
    }  # fmt: skip
    assert (body["result"], body["receipt"]["is_charged"]) == ("served", True)


@pytest.mark.parametrize(
    "value",
    [
        "地区1' OR '1'='1",
        "'; DROP TABLE released; --",
        "地区1\\' UNION SELECT 1 --",
        "$least",
        "${region}",
        "‘地区1’ OR 1=1",
    ],
)
def test_a_value_that_looks_like_sql_is_a_value_and_finds_nothing(home, clock, table, value):
    definition = completed(compute.complete_query(table, QueryDefinition(STATEMENT, PARAMETERS)))
    world = world_of(home, clock, table, ProductKind.QUERY, Definition(query=definition))
    answers = ask(world, "query", {"region": value[:20], "least": "0"}, {"region": "地区1", "least": "0"})
    assert answers[0].json()["content"]["rows"] == []
    assert len(answers[1].json()["content"]["rows"]) == 1  # the table is still there


@pytest.mark.parametrize(
    "case",
    [
        ({"region": "地区1", "least": "1 OR 1=1"}, "parameter-invalid"),
        ({"region": "地区1", "least": "1e3"}, "parameter-invalid"),
        ({"region": "地区1", "least": "１２"}, "parameter-invalid"),
        ({"region": "地" * 21, "least": "1"}, "parameter-invalid"),
        ({"region": "a\0b", "least": "1"}, "parameter-invalid"),
        ({"region": "地区1"}, "call-field-missing"),
        ({"region": "地区1", "least": "1", "table": "x"}, "call-fields-unknown"),
    ],
)
def test_a_value_of_another_type_is_refused_unrepeated_and_free(home, clock, table, caplog, case):
    definition = completed(compute.complete_query(table, QueryDefinition(STATEMENT, PARAMETERS)))
    world = world_of(home, clock, table, ProductKind.QUERY, Definition(query=definition))
    with caplog.at_level(logging.DEBUG):
        (answer,) = ask(world, "query", case[0])
    assert answer.status_code == 422
    assert answer.json()["code"] == case[1]
    assert "1=1" not in answer.text + caplog.text
    assert not [record for record in world.records() if record.is_charged]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_csv('/etc/passwd')", "SELECT content FROM read_text('/etc/passwd')",
        "SELECT * FROM duckdb_settings()", "SELECT * FROM '/etc/passwd'", "SELECT current_setting('home_directory')",
        "COPY released TO '/tmp/x.csv'", "SELECT 1; SELECT 2", "DROP TABLE released", "ATTACH 'x.db'", "INSTALL httpfs",
        "SELECT getenv('HOME')", "SELECT region FROM released, information_schema.tables", "SELECT query('SELECT 1')",
        "SET threads = 4", "PRAGMA database_list", "SELECT region FROM released WHERE number = $missing",
    ],
)  # fmt: skip
def test_a_statement_that_does_more_than_read_the_table_is_refused_when_it_is_defined(table, statement):
    assert codes(compute.complete_query(table, QueryDefinition(statement)))


def test_a_statement_whose_example_fails_or_whose_parameter_is_not_used_is_refused(table):
    wrong = QueryDefinition(
        "SELECT region FROM released WHERE number > $n", (StatementParameter("n", DataType.INTEGER, "x", 9),)
    )
    assert "parameter-invalid" in codes(compute.complete_query(table, wrong))
    unused = QueryDefinition("SELECT region FROM released", (StatementParameter("n", DataType.INTEGER, "1", 9),))
    assert "parameter-unused" in codes(compute.complete_query(table, unused))


def test_an_answer_of_too_many_rows_is_not_sent_and_not_charged(home, clock, table):
    statement = "SELECT a.number FROM released a JOIN released b ON a.is_open = b.is_open WHERE a.number >= $least"
    parameters = (StatementParameter("least", DataType.INTEGER, "399", 9),)
    definition = completed(compute.complete_query(table, QueryDefinition(statement, parameters)))
    world = world_of(home, clock, table, ProductKind.QUERY, Definition(query=definition))
    few, many = ask(world, "query", {"least": "399"}, {"least": "0"})
    assert (few.status_code, many.status_code, many.json()["code"]) == (200, 429, "answer-too-long")
    assert [record.is_charged for record in world.records()] == [True, False]


def test_a_statement_that_takes_too_long_is_stopped(table):
    from gongshu.compute.adapters.released import ReleasedTable, TooSlow

    opened = ReleasedTable(table)
    heavy = "SELECT count(*) FROM released a, released b, released c, released d WHERE a.number + b.number * c.number > d.number"
    with pytest.raises(TooSlow):
        opened.ask(heavy, {}, rows_max=10, seconds_max=0.05)
    assert opened.ask("SELECT count(*) FROM released", {}, rows_max=10, seconds_max=5)[1] == [(400,)]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "COPY released TO '/tmp/gongshu-x.csv'",
        "SET enable_external_access = true",
        "LOAD httpfs",
    ],
)
def test_the_engine_refuses_files_and_settings_even_past_the_gate(table, statement):
    from gongshu.compute.adapters.released import ReleasedTable

    with pytest.raises(duckdb.Error):
        ReleasedTable(table).ask(statement, {}, rows_max=10, seconds_max=5)


# ------------------------------------------------------------------------------------------------------------ index


def test_an_index_answers_between_two_periods_and_by_dimension(home, clock):
    file = write_table(home / "releases" / "release-1" / "result.parquet", PRICES)
    definition = completed(
        compute.complete_series(
            file, SeriesDefinition("month", "value", Frequency.MONTH, "2026-01=100", "name", "2026-01")
        )
    )
    world = world_of(home, clock, file, ProductKind.INDEX, Definition(series=definition))
    whole, part, wrong = ask(
        world, "series", {}, {"from": "2026-02", "to": "2026-02", "dimension": "甲"}, {"from": "February"}
    )
    assert whole.json()["content"] == {
        "unit": "2026-01=100", "frequency": "month", "base": "2026-01", "dimensions": ["乙", "甲"],
        "points": [["2026-01", 90.0, "乙"], ["2026-01", 100.0, "甲"], ["2026-02", 101.5, "甲"], ["2026-03", 99.0, "甲"]],
    } | {"points": [["2026-01", 90.0, "乙"], *[[f"2026-0{m}", v, "甲"] for m, v in ((1, 100.0), (2, 101.5), (3, 99.0))]]}  # fmt: skip
    assert part.json()["content"]["points"] == [["2026-02", 101.5, "甲"]]
    assert (wrong.status_code, wrong.json()["code"]) == (422, "period-invalid")
    assert "February" not in wrong.text


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"period": "nowhere"}, "released-column-unknown"),
        ({"value": "name"}, "released-column-unknown"),
        ({"dimension": ""}, "series-periods-invalid"),  # two values for one period
        ({"frequency": Frequency.QUARTER}, "series-periods-invalid"),
        ({"base": "2026"}, "period-invalid"),
    ],
)
def test_a_series_that_does_not_fit_its_table_is_refused(home, changes, code):
    file = write_table(home / "t.parquet", PRICES)
    given = {
        "period": "month",
        "value": "value",
        "frequency": Frequency.MONTH,
        "unit": "点",
        "dimension": "name",
    } | changes
    assert code in codes(compute.complete_series(file, SeriesDefinition(**given)))


# ------------------------------------------------------------------------------------------------------------ model


def linear(path, *, coefficients=(2.0, -1.0), intercept=0.5):
    """Write a linear model of two numbers."""
    import onnx
    from onnx import TensorProto, helper

    node = helper.make_node(
        "LinearRegressor", ["X"], ["score"], domain="ai.onnx.ml", coefficients=list(coefficients), intercepts=[intercept],
        targets=1,
    )  # fmt: skip
    graph = helper.make_graph(
        [node], "model", [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, [None, 1])],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 3)]
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), str(path))
    return path


NAMED = ModelDefinition((ModelInput("age", "X", 0), ModelInput("income", "X", 1)))


def test_a_model_answers_one_row_and_a_batch_of_rows(home, clock):
    file = linear(home / "releases" / "release-1" / "model.onnx")
    definition = completed(compute.complete_model(file, NAMED))
    world = world_of(home, clock, file, ProductKind.MODEL, Definition(model=definition))
    one, wrong = ask(world, "predict", {"age": "3", "income": "1.5"}, {"age": "3", "income": "many"})
    assert one.json()["content"] == {"outputs": {"score": 5.0}}
    assert (wrong.status_code, wrong.json()["code"]) == (422, "model-value-invalid")
    assert "many" not in wrong.text
    items = [{"id": f"i{n}", "fields": {"age": str(n), "income": "0"}} for n in range(100)] + [
        {"id": "bad", "fields": {"age": "x", "income": "0"}}
    ]
    (batch,) = ask(world, "batch", {"items": items}, path=path_of("batch"))
    answered = batch.json()["items"]
    assert [item["content"]["outputs"]["score"] for item in answered[:100]] == [2.0 * n + 0.5 for n in range(100)]
    assert answered[100]["error"] == "model-value-invalid"
    assert sum(record.is_charged for record in world.records()) == 101


def test_inputs_are_named_after_the_tensors_unless_they_are_given_names(home):
    file = linear(home / "model.onnx")
    found = completed(compute.complete_model(file, ModelDefinition()))
    assert [(field.name, field.tensor, field.place) for field in found.inputs] == [("X0", "X", 0), ("X1", "X", 1)]
    assert found.outputs == ("score",)
    twice = ModelDefinition((ModelInput("age", "X", 0), ModelInput("age", "X", 0)))
    assert "model-input-invalid" in codes(compute.complete_model(file, twice))


def hostile(kind: str):
    """Make a model that would do harm."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    row = helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, 2])
    out = helper.make_tensor_value_info("Y", TensorProto.FLOAT, None)
    opsets, functions, initializers = [helper.make_opsetid("", 21)], [], []
    if kind == "custom operator":
        nodes = [helper.make_node("Steal", ["X"], ["Y"], domain="com.example")]
        opsets.append(helper.make_opsetid("com.example", 1))
    elif kind == "loop":
        body = helper.make_graph(
            [helper.make_node("Identity", ["cond"], ["more"]), helper.make_node("Add", ["v", "v"], ["w"])], "body",
            [helper.make_tensor_value_info("i", TensorProto.INT64, []), helper.make_tensor_value_info("cond", TensorProto.BOOL, []), helper.make_tensor_value_info("v", TensorProto.FLOAT, None)],
            [helper.make_tensor_value_info("more", TensorProto.BOOL, []), helper.make_tensor_value_info("w", TensorProto.FLOAT, None)],
        )  # fmt: skip
        initializers = [
            numpy_helper.from_array(np.array(2**62), "often"),
            numpy_helper.from_array(np.array(True), "yes"),
        ]
        nodes = [helper.make_node("Loop", ["often", "yes", "X"], ["Y"], body=body)]
    elif kind == "outside data":
        tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", "../../keys/verification"
        initializers, nodes = [tensor], [helper.make_node("Add", ["X", "w"], ["Y"])]
    elif kind == "size bomb":
        big = numpy_helper.from_array(np.ones((1, 60_000), dtype=np.float32), "a")
        tall = numpy_helper.from_array(np.ones((60_000, 1), dtype=np.float32), "b")
        initializers = [big, tall]
        nodes = [
            helper.make_node("MatMul", ["b", "a"], ["m"]),
            helper.make_node("ReduceSum", ["m"], ["s"]),
            helper.make_node("Add", ["X", "s"], ["Y"]),
        ]
    elif kind == "random":
        nodes = [helper.make_node("RandomNormalLike", ["X"], ["Y"])]
    else:
        shape = numpy_helper.from_array(np.array([2**40]), "shape")
        initializers, nodes = (
            [shape],
            [helper.make_node("ConstantOfShape", ["shape"], ["z"]), helper.make_node("Add", ["X", "z"], ["Y"])],
        )
    graph = helper.make_graph(nodes, "model", [row], [out], initializer=initializers)
    return helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=10)


@pytest.mark.parametrize(
    "kind", ["custom operator", "loop", "outside data", "size bomb", "random", "constant of shape"]
)
def test_a_hostile_model_is_refused_when_it_is_defined(home, kind):
    path = home / "model.onnx"
    path.write_bytes(hostile(kind).SerializeToString())
    assert codes(compute.complete_model(path, ModelDefinition())) == ["model-refused"]


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"\x80\x05pickle", b"\x08\x0a" * 9, b"\x3a\xff\xff\xff\xff\x0f", b"\x0a" * 4000]
)
def test_what_is_no_model_is_refused(home, content):
    path = home / "model.onnx"
    path.write_bytes(content)
    assert codes(compute.complete_model(path, ModelDefinition())) == ["model-refused"]

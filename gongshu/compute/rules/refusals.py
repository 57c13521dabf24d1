"""Every reason for which the gate refuses a statement: column, operator, rule, and the smallest change that passes."""

from gongshu.base.decisions import Kind, Rule, rule

SPECIFICATION = "docs/explanation/column-uses.md"


def _gate(code: str, *, zh: str, en: str, fix_zh: str, fix_en: str) -> Rule:
    return rule(code, Kind.INVALID, zh=zh, en=en, fix_zh=fix_zh, fix_en=fix_en, law=SPECIFICATION)


# ------------------------------------------------------------------------------------------------- the statement

STATEMENT_UNREADABLE = _gate(
    "statement-unreadable",
    zh="语句无法解析（第 {line} 行第 {column} 列附近）。", en="The statement cannot be read (near line {line}, column {column}).",
    fix_zh="请检查语法；只接受一条 DuckDB 方言的 SELECT。", fix_en="Check the syntax; one SELECT in DuckDB's dialect is accepted.",
)  # fmt: skip
STATEMENT_TOO_LARGE = _gate(
    "statement-too-large",
    zh="语句过长或嵌套过深（上限 {limit}）。", en="The statement is too long or nested too deeply (limit {limit}).",
    fix_zh="请拆成几条语句。", fix_en="Split it into several statements.",
)  # fmt: skip
STATEMENT_NOT_ONE = _gate(
    "statement-not-one",
    zh="一次只能提交一条语句，现有 {count} 条。", en="Exactly one statement is accepted; there are {count}.",
    fix_zh="请只保留一条 SELECT。", fix_en="Keep a single SELECT.",
)  # fmt: skip
STATEMENT_NOT_A_QUERY = _gate(
    "statement-not-a-query",
    zh="语句中出现了不是查询的部分：{construct}。", en="The statement contains something that is not a query: {construct}.",
    fix_zh="只能使用 SELECT 查询。", fix_en="Only SELECT queries are accepted.",
)  # fmt: skip
CONSTRUCT_REFUSED = _gate(
    "construct-refused",
    zh="不支持的写法：{construct}（未列入许可清单）。", en="{construct} is not on the list of what is permitted.",
    fix_zh="请改用普通的 SELECT、JOIN、WHERE、GROUP BY、HAVING、ORDER BY、LIMIT 或 UNION ALL 表达。",
    fix_en="Say it with plain SELECT, JOIN, WHERE, GROUP BY, HAVING, ORDER BY, LIMIT or UNION ALL.",
)  # fmt: skip
POSITION_REFUSED = _gate(
    "position-refused",
    zh="不支持按位置引用列：{construct}。", en="Columns are not referred to by position: {construct}.",
    fix_zh="请写出列名或别名（{name}）。", fix_en="Write the name or the alias of the column ({name}).",
)  # fmt: skip
LIMIT_NOT_LITERAL = _gate(
    "limit-not-literal",
    zh="{construct} 只能是非负整数常量。", en="{construct} takes a whole number written out.",
    fix_zh="例如 LIMIT 100。", fix_en="For example LIMIT 100.",
)  # fmt: skip
PARAMETER_UNKNOWN = _gate(
    "parameter-unknown",
    zh="参数 ${name} 没有声明。", en="The parameter ${name} is not declared.",
    fix_zh="请声明它的类型、长度上限和值；已声明：{known}。", fix_en="Declare its type, length and value; declared: {known}.",
)  # fmt: skip
PARAMETER_UNUSED = _gate(
    "parameter-unused",
    zh="参数 {name} 在语句中没有用到。", en="The parameter {name} stands nowhere in the statement.",
    fix_zh="请去掉它，或检查语句中的名称。", fix_en="Leave it out, or check its name in the statement.",
)  # fmt: skip
PARAMETER_REPEATED = _gate(
    "parameter-repeated",
    zh="参数 {name} 声明了两次。", en="The parameter {name} is declared twice.",
    fix_zh="请删去一个。", fix_en="Remove one of them.",
)  # fmt: skip
PARAMETER_INVALID = _gate(
    "parameter-invalid",
    zh="参数 {name} 的值不符合声明的类型 {type} 或长度上限 {limit}。",
    en="The value of the parameter {name} is no {type} of at most {limit} characters.",
    fix_zh="日期写作 2024-01-31，时间写作 2024-01-31T08:00:00，布尔写作 true 或 false，数字不带分隔符。",
    fix_en="Write dates as 2024-01-31, times as 2024-01-31T08:00:00, truth as true or false, numbers without separators.",
)  # fmt: skip
PARAMETER_UNREADABLE = _gate(
    "parameter-unreadable",
    zh="第 {number} 个参数无法解析。", en="The parameter number {number} cannot be read.",
    fix_zh="写法：名称: 类型(长度上限) = 值；类型：{types}。", fix_en="Write name: type(length) = value; types: {types}.",
)  # fmt: skip
CONSTANT_OUT_OF_RANGE = _gate(
    "constant-out-of-range",
    zh="与列运算的常量超出允许范围（{function}）：过大或过小的常量会把算术变成条件。",
    en="A constant combined with a column is out of range ({function}): extreme constants turn arithmetic into a condition.",
    fix_zh="因子请在 1e-12 与 1e12 之间，加减数不超过 1e10 倍的最小因子。",
    fix_en="Keep factors between 1e-12 and 1e12, and what is added below 1e10 times the smallest factor.",
)  # fmt: skip

# ------------------------------------------------------------------------------------------- derived relations

DERIVED_NAME_INVALID = _gate(
    "derived-name-invalid",
    zh="派生资源的名称“{name}”不符合要求。", en="{name} cannot be the name of a derived relation.",
    fix_zh="请用小写字母开头，仅含小写字母、数字、下划线，不超过 63 个字符。",
    fix_en="Begin with a lower-case letter; use only those, digits and underscores, at most 63 characters.",
)  # fmt: skip
DERIVED_TOO_MANY = _gate(
    "derived-too-many",
    zh="一项权益下最多 {limit} 个派生资源。", en="An entitlement has at most {limit} derived relations.",
    fix_zh="请先删除不用的派生资源。", fix_en="Drop those that are not used any more.",
)  # fmt: skip
DERIVED_USED = _gate(
    "derived-used",
    zh="派生资源 {name} 仍被引用：{users}。", en="{name} is still used by: {users}.",
    fix_zh="请先删除引用它的派生资源。", fix_en="Drop those first.",
)  # fmt: skip

# ------------------------------------------------------------------------------------------------------- names

RELATION_UNKNOWN = _gate(
    "relation-unknown",
    zh="权益中没有名为 {relation} 的资源。", en="The entitlement has no relation {relation}.",
    fix_zh="可用的资源：{known}。", fix_en="Relations of the entitlement: {known}.",
)  # fmt: skip
COLUMN_UNKNOWN = _gate(
    "column-unknown",
    zh="此处没有名为 {column} 的列。", en="There is no column {column} here.",
    fix_zh="此处可用的列：{known}。外层查询的列只能在子查询的 WHERE 中引用。",
    fix_en="Columns here: {known}. Columns of the query around a subquery stand in its WHERE alone.",
)  # fmt: skip
IDENTIFIER_AMBIGUOUS = _gate(
    "identifier-ambiguous",
    zh="名称 {name} 指向不止一列。", en="The name {name} could mean more than one column.",
    fix_zh="请在列名前写上表的别名，或改用另一个别名。", fix_en="Qualify the column with its relation, or choose another alias.",
)  # fmt: skip
NAME_REPEATED = _gate(
    "name-repeated",
    zh="名称 {name} 在同一处使用了两次。", en="The name {name} is used twice in one place.",
    fix_zh="请为其中一个另取别名。", fix_en="Give one of them another alias.",
)  # fmt: skip
FUNCTION_UNKNOWN = _gate(
    "function-unknown",
    zh="函数 {function} 不在许可清单中。", en="The function {function} is not on the list of what is permitted.",
    fix_zh="请使用清单中的函数：{known}。", fix_en="Functions on the list: {known}.",
)  # fmt: skip
FUNCTION_ARGUMENTS = _gate(
    "function-arguments",
    zh="{function} 的参数个数或类型不符：{expected}。", en="{function} does not take these arguments: {expected}.",
    fix_zh="请按要求的类型和个数书写参数。", fix_en="Give it arguments of that number and type.",
)  # fmt: skip
TYPES_DIFFER = _gate(
    "types-differ",
    zh="{operator} 两侧类型不同（{left}，{right}）。", en="{operator} meets different types ({left}, {right}).",
    fix_zh="请写成同一类型，例如把常量写成 DATE '2024-01-01' 或数字。",
    fix_en="Write both in one type, for example the constant as DATE '2024-01-01' or as a number.",
)  # fmt: skip

# -------------------------------------------------------------------------------------------------------- uses

REVEAL_MISSING = _gate(
    "reveal-missing",
    zh="输出列 {output} 会显示 {column} 的值，而该列没有“可见”用途。",
    en="The output column {output} would show values of {column}, which lacks the use reveal.",
    fix_zh="请去掉该列，或把它放进 GROUP BY（需“可分组”）或聚合函数（需“可统计”）。",
    fix_en="Leave it out, or put it into GROUP BY (needs group) or into an aggregate (needs total).",
)  # fmt: skip
ROWS_BETRAY = _gate(
    "rows-betray",
    zh="输出列 {output} 是逐行的，而行由 {column} 决定（{operator}），该列没有“可见”用途。",
    en="The output column {output} is shown row by row, and {column}, which lacks reveal, decides which rows ({operator}).",
    fix_zh="请改为聚合结果，或去掉对 {column} 的条件。", fix_en="Aggregate the rows, or drop the condition on {column}.",
)  # fmt: skip
FILTER_MISSING = _gate(
    "filter-missing",
    zh="{operator} 用 {column} 作条件，而该列没有“可筛选”用途。", en="{operator} tests {column}, which lacks the use filter.",
    fix_zh="请去掉这个条件，或申请该列的“可筛选”用途。", fix_en="Drop the condition, or apply for the use filter of that column.",
)  # fmt: skip
COMPARE_MISSING = _gate(
    "compare-missing",
    zh="{operator} 比较了 {column}，而该列没有“可比对”用途。", en="{operator} compares {column}, which lacks the use compare.",
    fix_zh="请去掉这个比较，或申请该列的“可比对”用途。", fix_en="Drop the comparison, or apply for the use compare of that column.",
)  # fmt: skip
JOIN_MISSING = _gate(
    "join-missing",
    zh="{operator} 用 {column} 关联两个表，而该列没有“可关联”用途。",
    en="{operator} links two relations by {column}, which lacks the use join.",
    fix_zh="请改用有“可关联”用途的列，或申请该用途。", fix_en="Join by a column that has the use join, or apply for it.",
)  # fmt: skip
JOIN_WITHOUT_KEY = _gate(
    "join-without-key",
    zh="表 {relation} 没有通过等值键与其他表关联。", en="Nothing links the relation {relation} to the others by an equality of keys.",
    fix_zh="请写 ON 左.键 = 右.键（两列都需“可关联”）。", fix_en="Write ON left.key = right.key; both need the use join.",
)  # fmt: skip
JOIN_BY_PLACE = _gate(
    "join-by-place",
    zh="{construct} 按位置或先后次序关联两个表，而不是按相等的键。",
    en="{construct} links relations by the place or order of rows, not by keys that are equal.",
    fix_zh="请改用 JOIN … ON 左.键 = 右.键（两列都需“可关联”）。",
    fix_en="Use JOIN … ON left.key = right.key; both need the use join.",
)  # fmt: skip
LINK_MISPLACED = _gate(
    "link-misplaced",
    zh="与 {column} 关联的子查询不能出现在 {place}：其他表的隐私主体决定了结果，须随行参与门槛检查。",
    en="A subquery that is linked by {column} cannot stand in {place}: units of another relation decide there, and thresholds"
    " must be able to count them.",
    fix_zh="请把它作为 WHERE 中用 AND 连接的条件，或按双方的隐私主体关联，或先用 JOIN 关联。",
    fix_en="Make it a condition of WHERE connected by AND, link by the privacy unit of both, or write a JOIN.",
)  # fmt: skip
CORRELATION_NOT_EQUAL = _gate(
    "correlation-not-equal",
    zh="子查询与外层查询的关联条件不是两列相等（{operator}）。",
    en="A subquery that gives values is tied to the query around it by {operator}, which is no equality of two columns.",
    fix_zh="请只用 内层.键 = 外层.键 关联（内层键需“可关联”和“可分组”）。",
    fix_en="Tie it by inner.key = outer.key alone; the inner key needs join and group.",
)  # fmt: skip
LINK_BOUNDED = _gate(
    "link-bounded",
    zh="权益限制了每个隐私主体的贡献或要求加噪，而 {construct} 让其他表的多个主体共同决定一行，无法限制其贡献。",
    en="The entitlement bounds what one unit contributes, or adds noise; by {construct} several units of another relation decide"
    " one row, and their contributions cannot be bounded.",
    fix_zh="请按双方的隐私主体关联，或改用 JOIN。", fix_en="Link by the privacy unit of both relations, or write a JOIN.",
)  # fmt: skip
ABSENCE_MISPLACED = _gate(
    "absence-misplaced",
    zh="“不存在”条件（NOT EXISTS、NOT IN、ANTI JOIN）由 {column} 决定，只能写在直接聚合的 SELECT 的 WHERE 中：被去掉的行也须通过门槛检查。",
    en="{column} decides what NOT EXISTS, NOT IN or ANTI JOIN takes away; that stands in the WHERE of the SELECT that aggregates,"
    " because thresholds look at the rows taken away too.",
    fix_zh="请在同一个 SELECT 中聚合，或按双方的隐私主体关联。",
    fix_en="Aggregate in the same SELECT, or link by the privacy unit of both relations.",
)  # fmt: skip
GROUP_MISSING = _gate(
    "group-missing",
    zh="{operator} 按 {column} 分组，而该列没有“可分组”用途。", en="{operator} groups by {column}, which lacks the use group.",
    fix_zh="请改用有“可分组”用途的列，或申请该用途。", fix_en="Group by a column that has the use group, or apply for it.",
)  # fmt: skip
TOTAL_MISSING = _gate(
    "total-missing",
    zh="{operator} 统计 {column}，而该列没有“可统计”用途。", en="{operator} aggregates {column}, which lacks the use total.",
    fix_zh="请改用 COUNT(*)，或申请该列的“可统计”用途。", fix_en="Use COUNT(*), or apply for the use total of that column.",
)  # fmt: skip
RANK_MISSING = _gate(
    "rank-missing",
    zh="{operator} 取 {column} 的极值或分位数，而该列没有“可极值”用途。",
    en="{operator} takes an extreme or a quantile of {column}, which lacks the use rank.",
    fix_zh="请改用 AVG（需“可统计”），或申请该列的“可极值”用途。", fix_en="Use AVG (needs total), or apply for the use rank.",
)  # fmt: skip
USE_SPENT = _gate(
    "use-spent",
    zh="{column} 经过 {function} 后失去了“{use}”用途：对没有“可筛选”的列，此类函数等于条件。",
    en="{function} spent the use {use} of {column}: on a column without filter such a function is a condition in disguise.",
    fix_zh="请直接使用该列，或申请“可筛选”用途。", fix_en="Use the column itself, or apply for the use filter.",
)  # fmt: skip
ORDER_BETRAYS = _gate(
    "order-betrays",
    zh="逐行结果按 {column} 排序或截取，而该列没有“可见”用途。", en="Rows are ordered or cut by {column}, which lacks the use reveal.",
    fix_zh="请先聚合，再排序或 LIMIT。", fix_en="Aggregate first, then order or limit.",
)  # fmt: skip
UNIT_MISSING = _gate(
    "unit-missing",
    zh="资源 {relation} 没有设定隐私主体，只能使用“可见”的列；{column} 不是。",
    en="The relation {relation} names no privacy unit, so only columns with reveal can be used; {column} has none.",
    fix_zh="请供数单位设定隐私主体（例如统一社会信用代码）。", fix_en="Ask the supplier to name the privacy unit, such as the credit code.",
)  # fmt: skip

# ---------------------------------------------------------------------------------------- aggregates and relations

COLUMN_NOT_GROUPED = _gate(
    "column-not-grouped",
    zh="{column} 既不在 GROUP BY 中，也不在聚合函数中。", en="{column} stands neither in GROUP BY nor in an aggregate.",
    fix_zh="请把它加入 GROUP BY，或放进聚合函数。", fix_en="Add it to GROUP BY or put it into an aggregate.",
)  # fmt: skip
AGGREGATE_MISPLACED = _gate(
    "aggregate-misplaced",
    zh="聚合函数 {function} 不能出现在 {place}。", en="The aggregate {function} cannot stand in {place}.",
    fix_zh="请放在 SELECT、HAVING 或 ORDER BY 中，或用子查询先聚合。",
    fix_en="Put it into SELECT, HAVING or ORDER BY, or aggregate in a subquery.",
)  # fmt: skip
LISTING_REFUSED = _gate(
    "listing-refused",
    zh="{function} 会列出单行的值，所用的一切都需“可见”；缺少：{columns}。",
    en="{function} lists values of single rows, so all that goes in needs reveal; missing: {columns}.",
    fix_zh="请改用 COUNT、SUM、AVG、MEDIAN 等聚合。", fix_en="Use COUNT, SUM, AVG, MEDIAN or another aggregate.",
)  # fmt: skip
WINDOW_ON_ROWS = _gate(
    "window-on-rows",
    zh="窗口函数 {function} 逐行取值，所用的一切都需“可见”；缺少：{columns}。",
    en="The window function {function} looks at single rows, so all that goes in needs reveal; missing: {columns}.",
    fix_zh="请用不带 ORDER BY 和窗口框架的聚合窗口（按阈值计算），或先 GROUP BY 再对结果使用窗口函数。",
    fix_en="Use an aggregate without ORDER BY and frame (it has thresholds), or group first and use the window over the result.",
)  # fmt: skip
UNION_COLUMNS_DIFFER = _gate(
    "union-columns-differ",
    zh="集合运算两侧的列数或类型不同（{left}，{right}）。",
    en="The two sides of a set operation differ in number or type of columns ({left}, {right}).",
    fix_zh="请让两侧列数、类型一致。", fix_en="Give both sides the same columns.",
)  # fmt: skip
UNION_UNITS_DIFFER = _gate(
    "union-units-differ",
    zh="集合运算两侧的隐私主体不同（{left}，{right}）。", en="The two sides of a set operation protect different units ({left}, {right}).",
    fix_zh="请分别聚合，再合并聚合结果。", fix_en="Aggregate each side by itself, then unite the results.",
)  # fmt: skip
SUBQUERY_COLUMNS = _gate(
    "subquery-columns",
    zh="{place} 的子查询应有 {wanted} 列，现有 {given} 列。", en="The subquery of {place} has {given} columns; {wanted} are compared.",
    fix_zh="请让两侧列数一致。", fix_en="Give it as many columns as stand before it.",
)  # fmt: skip
SUBQUERY_NOT_RELEASED = _gate(
    "subquery-not-released",
    zh="作为值使用的子查询必须是一列聚合结果（{place}）。", en="A subquery used as a value must be one column of an aggregate ({place}).",
    fix_zh="请在子查询中先聚合，或改写为 JOIN。", fix_en="Aggregate inside the subquery, or write it as a JOIN.",
)  # fmt: skip

# ------------------------------------------------------------------------------------------- rounding and noise

ROUNDING_ARGUMENT = _gate(
    "rounding-argument",
    zh="计数须取整时，{function} 只能作用于一列或一列的常数倍（涉及 {column}）：其他写法会透露准确行数。",
    en="With rounded counts {function} takes a column or a multiple of one ({column}); else it tells numbers of rows.",
    fix_zh="请改写为 {function}(列) FILTER (WHERE 条件)，计数请用 COUNT(*)。",
    fix_en="Write {function}(column) FILTER (WHERE condition), and COUNT(*) for numbers of rows.",
)  # fmt: skip
NOISE_FUNCTION = _gate(
    "noise-function",
    zh="加噪模式下不支持 {function}：没有可靠的加噪方法。", en="{function} has no sound noisy form here.",
    fix_zh="请使用 COUNT、COUNT(DISTINCT 主体)、SUM、AVG、VAR、STDDEV。",
    fix_en="Use COUNT, COUNT(DISTINCT unit), SUM, AVG, VAR or STDDEV.",
)  # fmt: skip
NOISE_CLAMP = _gate(
    "noise-clamp",
    zh="加噪模式下 {function} 的参数没有取值范围（涉及 {column}）。",
    en="With noise, {function} needs an argument of known range ({column}).",
    fix_zh="请实施机构为该列声明上下限，或只用该列的加、减、乘与 CASE。",
    fix_en="Have the agency declare bounds of the column, or use only sums, multiples and CASE of it.",
)  # fmt: skip
NOISE_UNIT = _gate(
    "noise-unit",
    zh="加噪模式下每一行须恰好属于一个主体，此处有 {count} 种。",
    en="With noise each row belongs to exactly one unit; here there are {count}.",
    fix_zh="请按主体标识关联，或只关联不含主体的公开资源，或分别统计。",
    fix_en="Join by the unit itself, or with open resources only, or count the relations apart.",
)  # fmt: skip
NOISE_ROWS = _gate(
    "noise-rows",
    zh="加噪模式下不能输出明细行，聚合之下也不能去重、截取或排名（{place}）。",
    en="With noise no rows are shown, and none are cut, ranked or made distinct below an aggregate ({place}).",
    fix_zh="请直接对资源的行聚合。", fix_en="Aggregate the rows of the relation directly.",
)  # fmt: skip

# ------------------------------------------------------------------------------------------- verification and jobs

VERIFICATION_KEY_COUNT = rule(
    "verification-key-count", Kind.INVALID, zh="核验产品须有且只有一个关键字段，现有 {count} 个。",
    en="A verification needs exactly one key field; there are {count}.",
    fix_zh="请把一个字段设为关键字段（例如统一社会信用代码）。",
    fix_en="Mark one field as the key, such as the credit code.", law=SPECIFICATION,
)  # fmt: skip
VERIFICATION_KEY_OPTIONAL = rule(
    "verification-key-optional", Kind.INVALID, zh="关键字段 {field} 必须是必填。", en="The key field {field} must be required.",
    fix_zh="请设为必填。", fix_en="Mark it as required.", law=SPECIFICATION,
)  # fmt: skip
VERIFICATION_NOTHING_COMPARED = rule(
    "verification-nothing-compared", Kind.INVALID, zh="除关键字段外没有可比对的必填字段，会退化为存在性查询。",
    en="No required field besides the key: the product would only tell who is on record.",
    fix_zh="请至少再加一个必填的比对字段。", fix_en="Add at least one more required field.", law=SPECIFICATION,
)  # fmt: skip
VERIFICATION_FIELD_REPEATED = rule(
    "verification-field-repeated", Kind.INVALID, zh="字段名 {field} 重复。", en="The field {field} stands twice.",
    fix_zh="请删去一个。", fix_en="Remove one of them.", law=SPECIFICATION,
)  # fmt: skip
ENTITLEMENT_NOT_IN_FORCE = rule(
    "entitlement-not-in-force", Kind.FORBIDDEN, zh="权益 {id} 不在有效期内或已终止。",
    en="The entitlement {id} is not in force.",
    fix_zh="请向运营机构核实场景与授权。", fix_en="Ask the operator about the scenario and its grant.", law="27号 art.14",
)  # fmt: skip
GRANT_NOT_IN_FORCE = rule(
    "job-grant-not-in-force", Kind.FORBIDDEN, zh="授权 {id} 不在有效期内或已终止。", en="The grant {id} is not in force.",
    fix_zh="请与实施机构联系。", fix_en="Ask the implementing agency.", law="27号 art.14",
)  # fmt: skip
RESOURCE_WITHOUT_VERSION = rule(
    "resource-without-version", Kind.CONFLICT, zh="资源 {relation} 尚无已登记的数据版本。",
    en="The relation {relation} has no registered version yet.",
    fix_zh="请供数单位先归集并登记。", fix_en="Ask the supplier to ingest and register it.", law="26号",
)  # fmt: skip

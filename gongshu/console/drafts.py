"""Texts that a form starts from, so that nobody faces an empty page. Whoever files them changes what does not fit."""

from gongshu.base.decisions import Text

PLAN_DRAFTS: dict[str, Text] = {
    "P01": Text("企业登记数据授权运营实施方案。", "Implementation plan for business registration data."),
    "P02": Text(
        "社会需求明确，数据与技术条件具备，风险可控；已就全周期管理、需求、市场规模、预期成效、风险防控作出论证。",
        "Demand is clear, data and technology are there, risks are contained; life cycle, demand, market, effect and"
        " risk control were examined.",
    ),
    "P03": Text(
        "运营机构应具备相应的资金、管理、技术、服务和安全保障能力。",
        "The operator has the funds, management, technology, service and security that the task needs.",
    ),
    "P04": Text("依场景授权，一场景一申请一审批。", "By scenario: one application and one approval for each."),
    "P05": Text(
        "范围为已登记的企业登记信息资源，按列限定用途，按月更新，质量按 GB/T 36344 评价。",
        "Registered business registration data, uses set by column, updated monthly, quality measured by GB/T 36344.",
    ),
    "P06": Text(
        "期限三年，分期建设，逐年评估；到期退出并处置数据、结果和密钥，资产归属见协议。",
        "Three years, built in phases, evaluated yearly; at exit data, outputs and keys are disposed of.",
    ),
    "P07": Text(
        "公共治理、公益事业类：政务窗口信息核对（无偿）；产业发展、行业发展类：企业信息核验（可收费）。",
        "公共治理、公益事业 (public): checks at service windows, free; 产业发展、行业发展 (industrial): verification of"
        " enterprises, may charge.",
    ),
    "P08": Text(
        "成本和收入单独核算，收益由供数单位、财政和运营机构按协议约定分配。",
        "Costs and income are accounted for separately; income is shared as agreed.",
    ),
    "P09": Text(
        "原始数据不出域、可用不可见；结果经安全审核与业务规范性审核后出域；建立应急停用机制。",
        "Raw data stays in the domain; results leave after two reviews; there is an emergency stop.",
    ),
    "P10": Text(
        "实施机构监督，运营机构依协议运营，供数单位保障更新与质量。",
        "The agency supervises, the operator operates as agreed, the supplier keeps the data current and good.",
    ),
    "P11": Text(
        "全过程留痕、可追溯，年度考核并公开。", "Every step is logged and traceable; assessed yearly in public."
    ),
    "P12": Text("其他事项按有关规定执行。", "Other matters follow the rules that apply."),
}

AGREEMENT_DRAFTS: dict[str, Text] = {
    "G01": Text("范围与目录见授权条款所附列与用途清单。", "Scope and catalog as in the list of columns and uses."),
    "G02": Text("期限见授权条款，不超过五年。", "The term as in the terms, at most five years."),
    "G03": Text(
        "产品和服务清单、技术标准见附件；出域须经安全审核和业务规范性审核。",
        "Products and technical standard as annexed; nothing leaves without security and conformity review.",
    ),
    "G04": Text("依托公共数据授权运营平台开展。", "On the platform for the authorized operation of public data."),
    "G05": Text(
        "软硬件归实施机构，产品经营权归运营机构。", "Hardware and software are the agency's, products the operator's."
    ),
    "G06": Text(
        "依法披露信息；不得直接或间接参与授权范围内已交付产品的再开发。",
        "Disclosure as the law says; no direct or indirect redevelopment of products delivered in scope.",
    ),
    "G07": Text("成本和收入单独核算，分配比例见授权条款。", "Separate accounts; shares as in the terms."),
    "G08": Text(
        "落实数据安全、个人信息保护、风险监测和应急处置。",
        "Data security, protection of personal information, risk monitoring, emergency measures.",
    ),
    "G09": Text("年度绩效评价，作为续约或退出的依据。", "Yearly evaluation decides on renewal or exit."),
    "G10": Text("违约责任依法承担。", "Breach is answered for by law."),
    "G11": Text("争议先协商，不成的依法诉讼。", "Disputes are negotiated first, then taken to court."),
    "G12": Text(
        "变更须双方一致；提前终止须通知并完成处置。", "Changes by consent; early end with notice and disposal."
    ),
    "G13": Text("其他事项另行约定。", "Other matters are agreed apart."),
}

EXIT_DUTY_DRAFTS = Text(
    "停止一切数据访问、作业与调用\n销毁产品制品和密钥并提交证明\n处置未放行的结果，保留审核与计量记录\n通知使用方并结清费用",
    "Stop every access, job and call\nDestroy artifacts and keys and prove it\nDispose of outputs not released, keep"
    " reviews and usage records\nTell the consumers and settle accounts",
)

PURPOSE_DRAFT = "inclusive_finance"

MATERIAL_DRAFTS: dict[str, Text] = {
    "subject": Text("机关法人，依法履行相应行政管理职责。", "A public body acting within its statutory duties."),
    "legality": Text(
        "依法履职产生，来源合法合规，不含国家秘密。",
        "Produced in the course of statutory duties; lawful source; no state secrets.",
    ),
    "resource": Text(
        "资源名称、内容、更新周期、字段及分级情况见资源页面。",
        "Name, content, update cycle, columns and grades as on the page of the resource.",
    ),
    "evidence": Text(
        "入库清单已逐文件计算 SHA-256 摘要存证。", "Every file of the version is deposited by its SHA-256 digest."
    ),
    "products": Text("拟支撑信息核验、统计分析等产品和服务。", "For verification and statistics products."),
    "scenarios": Text("普惠金融；政务服务。", "Inclusive finance; public services."),
    "risk": Text(
        "已开展安全风险评估：直接标识符不出域，统计结果设最小主体数。",
        "Assessed: direct identifiers never leave; statistics keep a minimum number of units.",
    ),
}

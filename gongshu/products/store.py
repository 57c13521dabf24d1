"""Tables of products, listings, orders and contracts."""

from gongshu.base.tables import Documents, short
from gongshu.products.types import Contract, Listing, Order, ProductVersion

PRODUCTS: Documents[ProductVersion] = Documents(
    "product", ProductVersion, short("operator"), short("grant"), short("status"),
    index=lambda p: {"operator": p.operator, "grant": p.grant, "status": p.status.value},
)  # fmt: skip

LISTINGS: Documents[Listing] = Documents(
    "listing", Listing, short("product"), short("operator"), short("status"),
    index=lambda v: {"product": v.product_id, "operator": v.operator, "status": v.status.value},
)  # fmt: skip

ORDERS: Documents[Order] = Documents(
    "product_order", Order, short("listing"), short("consumer"), short("operator"), short("status"),
    index=lambda o: {
        "listing": o.listing_id, "consumer": o.consumer, "operator": o.operator, "status": o.status.value,
    },
)  # fmt: skip

CONTRACTS: Documents[Contract] = Documents(
    "contract", Contract, short("code", unique=True), short("product"), short("grant"), short("operator"),
    short("consumer"), short("status"),
    index=lambda c: {
        "code": c.code, "product": c.terms.product_id, "grant": c.terms.grant, "operator": c.terms.operator,
        "consumer": c.terms.consumer, "status": c.status.value,
    },
)  # fmt: skip

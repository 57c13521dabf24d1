"""Data products: versions, listing with a price, orders, and contracts with a usage policy signed by both."""

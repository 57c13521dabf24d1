"""Output control (出域审核): outputs in quarantine, automatic checks, two independent reviews, the release ledger."""

"""Which gateways there are, which of them serves which contract, and how a contract's counts go from one to another."""

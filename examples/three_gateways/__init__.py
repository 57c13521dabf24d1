"""Three gateways behind HAProxy on this machine: contracts are spread over them, one is killed, and no count is lost."""

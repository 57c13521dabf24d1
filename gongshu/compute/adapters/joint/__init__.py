"""Joint computing: this party's node as a process of its own, and the key files that it reads."""

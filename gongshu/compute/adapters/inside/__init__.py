"""What runs inside a cell. The standard library and the job image's packages are there; nothing else of ours is."""

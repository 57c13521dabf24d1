"""What touches rows: reading source files, the engine, and the folders of versions."""

"""Usage segments on disk: frames, files, and the meter that appends to them."""

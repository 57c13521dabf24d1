"""The outside world of the room: messages, the wire that carries them, files."""

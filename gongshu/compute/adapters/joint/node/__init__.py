"""What runs inside ``.venv-joint``: standard library, SPU and what SPU brings along, nothing else of ours."""

"""The gateway: keys, quota, usage control, serving. Its own process; nothing on its path touches the main database."""

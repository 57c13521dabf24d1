"""Settings, wiring, ASGI apps, problem responses, command line, worker, migrations. Knows everybody."""

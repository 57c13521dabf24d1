"""Asks the gateway led by coverage (atheris, libFuzzer); run by `make fuzz`. Ends with the input that broke a promise.

python -m tests.fuzz_gateway -max_total_time=600
"""

import asyncio
import logging
import random
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["gongshu.delivery", "gongshu.base.signing", "gongshu.compute.rules"]):
    from gongshu.delivery.api.application import GatewayApp
    from tests.gateways import START, World, open_gateway, policy
from tests.hostile_calls import Written, ask, check, hostile_call

CALLS_MAX = 10**9


class Guided(random.Random):
    """Draws from the bytes that the fuzzer gives, so that it decides every choice."""

    def __init__(self, data: bytes) -> None:
        """Draw from ``data``; zeros when it is used up."""
        self._left = atheris.FuzzedDataProvider(data)
        super().__init__(0)

    def random(self) -> float:
        """Return a number from 0 to 1."""
        return self._left.ConsumeIntInRange(0, 2**24 - 1) / 2**24

    def getrandbits(self, bits: int) -> int:
        """Return so many bits."""
        return self._left.ConsumeIntInRange(0, 2 ** min(bits, 60) - 1)


def main() -> None:
    """Fuzz until libFuzzer has enough."""
    with asyncio.Runner() as runner, tempfile.TemporaryDirectory() as folder:
        counts = {"calls_max": CALLS_MAX, "calls_per_day_max": CALLS_MAX, "calls_per_second_max": CALLS_MAX}
        world = World(Path(folder) / "var", lambda: START, policy(**counts))
        world.publish()
        app, written = GatewayApp(lambda: open_gateway(world)), Written()
        logging.getLogger().addHandler(written)

        async def start() -> None:
            app.open()

        runner.run(start())

        def one(data: bytes) -> None:
            request = hostile_call(Guided(data))
            check(request, runner.run(ask(app, request)), written.take())

        atheris.Setup(sys.argv, one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()

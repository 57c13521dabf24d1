"""A peer that meets honestly and then does something else. Run inside ``.venv-joint``.

    python hostile.py MODE SIDE LISTEN PEER DIGEST ROWS
"""

import os
import sys
import threading
import time

from gongshu.compute.adapters.joint.node import meeting

PATIENCE_SECONDS = 120


def main() -> None:
    mode, side, listen, peer, digest, rows = sys.argv[1:]
    side = int(side)
    threading.Timer(PATIENCE_SECONDS, os._exit, (3,)).start()
    link = meeting.open_link({"side": side, "listen": listen, "peer": peer, "certificates": {}}, 60, 60)
    if mode == "babbles":
        link.all_gather("this is no hello")
        os._exit(0)
    if mode == "boasts":
        link.all_gather("{" + " " * 100_000 + "}")
        os._exit(0)
    meeting.meet(link, side, digest)
    if mode == "overstates":
        link.all_gather('{"rows": 99999999999, "salt": "00"}')
        os._exit(0)
    meeting.open_session(link, side, digest, int(rows), (0, 1 << 30))
    if mode == "dies":
        os._exit(1)
    if mode == "garbles":
        for _ in range(50):
            link.send(1 - side, os.urandom(4_096))
    time.sleep(PATIENCE_SECONDS)


main()

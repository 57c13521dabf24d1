"""A peer that meets honestly and then does something else. Run inside ``.venv-joint``.

python hostile.py MODE SIDE LISTEN PEER DIGEST ROWS OWN KEY PEER_CERTIFICATE
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

from spu import psi

from gongshu.compute.adapters.joint.node import meeting

PATIENCE_SECONDS = 120


def main() -> None:
    mode, side, listen, peer, digest, rows, *certificates = sys.argv[1:]
    side = int(side)
    threading.Timer(PATIENCE_SECONDS, os._exit, (3,)).start()
    shown = dict(zip(("own", "key", "peer"), certificates, strict=True))
    link = meeting.open_link({"side": side, "listen": listen, "peer": peer, "certificates": shown}, 60, 60)
    lies = {"babbles": "this is no hello", "boasts": "{" + " " * 100_000 + "}"}
    if mode in lies:
        link.all_gather(lies[mode])
        time.sleep(PATIENCE_SECONDS)
    meeting.meet(link, side, digest)
    if mode == "overstates":
        link.all_gather('{"rows": 99999999999, "salt": "00"}')
        time.sleep(PATIENCE_SECONDS)
    meeting.open_session(link, side, digest, int(rows), (0, 1 << 30))
    if mode == "dies":
        os._exit(1)
    if mode == "garbles":
        for _ in range(50):
            link.send(1 - side, os.urandom(4_096))
    if mode == "garbles shares":
        link.send(1 - side, "0")  # which attempt at hashing its keys fit under
        for _ in range(50):
            link.send(1 - side, json.dumps([8]))
            link.send(1 - side, os.urandom(31))
            link.send(1 - side, os.urandom(8))
    if mode == "speaks KKRT":
        own = Path("other.csv").resolve()
        own.write_text("key\n" + "".join(f"{number:032x}\n" for number in range(int(rows))))
        config = psi.PsiExecuteConfig(
            protocol_conf=psi.PsiProtocolConfig(protocol=psi.PsiProtocol.PROTOCOL_KKRT, receiver_rank=0),
            input_params=psi.InputParams(path=str(own), selected_keys=["key"], keys_unique=True),
            output_params=psi.OutputParams(path=str(own.with_name("out.csv")), disable_alignment=True),
        )
        psi.psi_execute(config, link)
    time.sleep(PATIENCE_SECONDS)


main()

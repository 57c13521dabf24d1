"""The intersection by RR22: the learners get which of their own keys the other side has too."""

from pathlib import Path
from typing import Any

from spu import psi

MARKS = {
    "[AbstractPsiParty::Init] start": 10,
    "[AbstractPsiParty::Init] end": 25,
    "PsiReceiver::PreProcess] end": 40, "PsiSender::PreProcess] end": 40,
    "begin vole": 50, "solve end": 60, "compute self oprf": 65,
    "PsiReceiver::Online] end": 80, "PsiSender::Online] end": 80,
    "[Generate result] start": 85,
    "[Generate result] end": 95,
}  # fmt: skip
"""What the library writes on the way, and how far that is in percent. Its own progress hook is not called for RR22."""


def intersect(link: Any, keys: Path, matched: Path, learners: tuple[int, ...]) -> int:
    """Write the matching keys of this side to ``matched`` if it is to learn them; return how many (others: -1)."""
    config = psi.PsiExecuteConfig(
        protocol_conf=psi.PsiProtocolConfig(
            protocol=psi.PsiProtocol.PROTOCOL_RR22, receiver_rank=learners[0], broadcast_result=len(learners) > 1
        ),
        input_params=psi.InputParams(path=str(keys), selected_keys=["key"], keys_unique=True),
        output_params=psi.OutputParams(path=str(matched), disable_alignment=True),
    )
    return int(psi.psi_execute(config, link).intersection_count)

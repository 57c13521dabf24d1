"""Proofs verify offline, by a program that shares nothing with ours."""

import subprocess
import sys
from pathlib import Path

import pytest

from gongshu.audit import cli
from gongshu.audit import service as audit
from gongshu.audit.rules import merkle, notes
from gongshu.base.decisions import Refused

VERIFIER = Path(__file__).resolve().parents[2] / "tools" / "verify_inclusion.py"


def verify(key: str, proof: Path) -> subprocess.CompletedProcess[str]:
    # -I: no current folder, no environment: gongshu cannot be imported from here even by accident
    return subprocess.run([sys.executable, "-I", VERIFIER, key, proof], capture_output=True, text=True, timeout=60)


def test_the_verifier_is_short_and_imports_nothing_of_ours():
    lines = VERIFIER.read_text().splitlines()
    imported = [line.split()[1].split(".")[0] for line in lines if line.startswith(("import ", "from "))]
    assert len(lines) <= 40
    assert sorted(imported) == ["base64", "cryptography", "hashlib", "pathlib", "sys"]


@pytest.mark.parametrize(("size", "index"), [(1, 0), (2, 1), (5, 3), (300, 0), (300, 255), (300, 256), (300, 299)])
def test_a_proof_is_accepted_offline(log, tmp_path, size, index):
    log.seal(size)
    out = tmp_path / "entry.tlog-proof"
    assert cli.prove(log.site, log.ids()[index], out) == 0
    done = verify(audit.public_key(log.site), out)
    (leaf,) = log.sql("SELECT leaf FROM audit_entry WHERE sequence = :index", index=index)[0]
    assert (done.returncode, done.stdout.encode()) == (0, leaf + b"\n"), done.stderr


def test_a_changed_proof_is_refused_offline(log, tmp_path, make_log):
    log.seal(5)
    proof, key, out = audit.proof_text(audit.prove(log.site, log.ids()[3])), audit.public_key(log.site), tmp_path / "p"
    lines = proof.split("\n")
    changes = {
        "another entry": proof.replace(lines[1], lines[1].replace("eyJhY3", "eyJhY2")),
        "another index": proof.replace("index 3", "index 2"),
        "index beyond": proof.replace("index 3", "index 5"),
        "negative index": proof.replace("index 3", "index -1"),
        "another size": proof.replace("\n5\n", "\n6\n"),
        "a hash less": proof.replace(lines[3] + "\n", ""),
        "a hash more": proof.replace(lines[3], lines[3] + "\n" + lines[3]),
        "hashes changed over": proof.replace(lines[3] + "\n" + lines[4], lines[4] + "\n" + lines[3]),
        "another format": proof.replace("@v1", "@v2"),
        "no signature": proof[: proof.index("—")],
        "two signatures": proof + proof[proof.index("—") :],
    }
    for what, changed in changes.items():
        assert changed != proof, what
        out.write_text(changed)
        assert verify(key, out).returncode != 0, what
    out.write_text(proof)
    assert verify(key, out).returncode == 0
    assert verify(audit.public_key(make_log().site), out).returncode != 0
    name, key_id, public = key.split("+", 2)
    assert verify(f"{name}+{int(key_id, 16) ^ 1:08x}+{public}", out).returncode != 0
    assert verify(f"{name}x+{key_id}+{public}", out).returncode != 0


def test_signatures_of_witnesses_are_left_aside(log, tmp_path):
    log.seal(2)
    proof, out = audit.proof_text(audit.prove(log.site, log.ids()[0])), tmp_path / "p"
    out.write_text(proof + "— witness.example/w TnKKVHLX\n")
    assert verify(audit.public_key(log.site), out).returncode == 0


def test_proofs_of_every_entry_verify_and_name_the_newest_checkpoint(log):
    newest = log.seal(300)
    for index, entry_id in enumerate(log.ids()):
        proof = audit.prove(log.site, entry_id)
        found = notes.open_checkpoint(proof.checkpoint, *notes.read_verifier_key(audit.public_key(log.site)))
        assert (proof.index, proof.checkpoint) == (index, newest)
        assert merkle.is_included(index, 300, merkle.leaf_hash(proof.entry), proof.hashes, found.root)
        assert notes.read_proof(audit.proof_text(proof)) == proof


def test_an_entry_without_checkpoint_is_not_proved_yet_but_the_command_line_seals_it(log, capsys):
    log.seal(1)
    log.record(1)
    wanted = log.ids()[1]
    with pytest.raises(Refused, match="audit-entry-not-sealed"):
        audit.prove(log.site, wanted)
    assert cli.prove(log.site, wanted) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("c2sp.org/tlog-proof@v1\nextra ")
    assert printed.err == f"key: {audit.public_key(log.site)}\n"
    with pytest.raises(Refused, match="not-found"):
        cli.prove(log.site, "entry-x")


def test_kept_checkpoints_are_proved_to_be_a_beginning_of_the_log(log):
    key = audit.public_key
    kept = [log.seal(count) for count in (0, 1, 2, 253, 1, 43)]
    newest = audit.checkpoint(log.site)
    for note in kept:
        before = notes.open_checkpoint(note, *notes.read_verifier_key(key(log.site)))
        path = audit.prove_consistency(log.site, before.size)
        assert merkle.is_consistent(before.size, newest.size, before.root, newest.root, path)
    with pytest.raises(Refused, match="not-found"):
        audit.prove_consistency(log.site, 2)


def test_the_command_exits_0_only_when_all_is_well(log, capsys):
    handed_out = log.seal(3)
    log.record(1)
    assert cli.fsck(log.site, handed_out) == 0
    assert capsys.readouterr().out.startswith("3 entries in 1 checkpoints, 1 pending, root ")
    log.sql("DELETE FROM audit_entry WHERE sequence = 0")
    assert cli.fsck(log.site) == 1
    assert "entry 0: is missing; the next is 1" in capsys.readouterr().out

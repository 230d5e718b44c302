"""Two stores of this machine as two hosts, one of which falls silent, is given up for lost, and comes back."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.sshd import sshd
from tests.operations.fleets import TryFleet

pytestmark = pytest.mark.real


class Pair(TryFleet):
    """Three instances of front on hv1 and hv2, which an sshd on ``port`` leads to; hv1 alone has an ingress, since both
    have the same loopback."""

    def __init__(self, folder: Path, port: int):
        super().__init__(folder)
        self.there = f"127.0.0.1:{port}"
        one = f"hv1: {{connect: local, root: {self.root}/hv1, address: 127.0.0.1}}"
        two = f'hv2: {{connect: "ssh://{self.there}", root: {self.root}/hv2, address: 127.0.0.2, ingress: false}}'
        self.edit(r"local: \{.*\}", f"{one}\n  {two}")
        self.edit(r"(?s)  counter:\n.*?\n\n", "")
        self.edit(r"(?s)    needs: \[counter\]\n.*?\n    args: .*?\n", "")
        self.edit(r"(?s)volumes:\n.*?\n\n", "")

    def mute(self) -> None:
        """hv2 does not answer any more."""
        self.edit(f"ssh://{self.there}", "ssh://127.0.0.1:1")

    def heal(self) -> None:
        """It answers again."""
        self.edit("ssh://127.0.0.1:1", f"ssh://{self.there}")

    def homes(self) -> list[tuple[str, str]]:
        """(instance, host) of all that runs."""
        rows = self.run("status", "-json").json["instances"]
        return sorted((row["name"], row["host"]) for row in rows if row["state"] == "running")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Applied once; every test leaves hv2 answering, and all that is declared running."""
    with (
        tempfile.TemporaryDirectory(prefix="unictl-", dir="/var/tmp") as place,
        sshd(tmp_path_factory.mktemp("sshd")) as (port, environment),
        pytest.MonkeyPatch.context() as patched,
    ):
        Path(place).chmod(0o755)
        patched.setenv("PATH", environment["PATH"])
        made = Pair(Path(place), port)
        applied, declared = made.apply(), made.yaml()
        yield made
        (made.folder / "fleet.yaml").write_text(declared)
        destroyed = made.run("destroy", "-auto-approve")
        assert made.processes() == [], applied.out + destroyed.out + destroyed.err + made.running()


def test_what_a_silent_host_may_have_is_unknown_and_every_command_names_the_host(pair: Pair) -> None:
    before = pair.homes()
    there = [name for name, host in before if host == "hv2"]
    why = "nothing answers on its ssh port"
    pair.mute()
    status = pair.run("status", "-json")
    rows = {row["name"]: row for row in status.json["instances"]}
    assert status.code == 5 and sorted(rows) == sorted(name for name, _ in before)
    assert [rows[name]["state"] for name in there] == ["unknown"] * len(there)
    assert f"{len(there)} unknown; 2 hosts, 1 unreachable." in pair.run("status").out
    logs = pair.logs(there[0])
    assert logs.code == 5 and f"hv2 does not answer and may have it: {why}" in " ".join(logs.err.split())
    assert f"hv2  unknown: {why}" in pair.run("locks").out
    # Nobody is taken down while a host is silent that may have the rest: no ingress goes.
    held = pair.run("destroy", "-auto-approve")
    assert held.code == 5, held.out + held.err
    assert pair.get("/healthz")
    pair.heal()
    assert pair.homes() == before


def test_a_host_marked_lost_that_is_back_is_refused_until_it_is_drained(pair: Pair) -> None:
    before = pair.homes()
    there = [name for name, host in before if host == "hv2"]
    assert len(before) == 3 and there
    pair.mute()
    pair.edit(r"(hv2: \{)", r"\1lost: true, ")
    assert pair.apply("-allow-destroy", "3").code == 0
    pair.heal()
    refused = pair.apply()
    said = " ".join((refused.out + refused.err).split())
    assert refused.code == 6, said
    assert f"hv2 is marked lost, and answers: {there[0]} runs there and elsewhere too" in said
    assert len(pair.homes()) == 3 + len(there), "what runs on it is in the status"
    pair.edit("lost: true", "drain: true")
    assert pair.apply().code == 0
    assert [host for _, host in pair.homes()] == ["hv1"] * 3
    pair.edit("drain: true, ", "")

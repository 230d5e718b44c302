"""Unit files as text: golden files in ``units``, and what must hold for any of them."""

import subprocess
from pathlib import Path

import pytest

from tests.onhost.world import document
from unictl.onhost.supervision import exit_sources
from unictl.onhost.systemd import unit_text

FOLDER = Path(__file__).with_name("units")
ZIP = f"/var/lib/unictl/code/{'c' * 64}.zip"
MIB = 1 << 20


def instance(root: str = "/var/lib/unictl", *, own_user: bool = True, **kw: object) -> str:
    made = document("web-0", ("{qemu}",), **kw)
    return unit_text.instance_unit(
        root=root,
        owner="shop-5f0c2a",
        key="web-0.0123abcd",
        record=made,
        run_directory=root + "/run/0123456789abcdef",
        supervisor="unictl-aaaaaaaaaaaaaaaa.service",
        interpreter="/usr/bin/python3",
        code_path=ZIP,
        has_own_user=own_user,
    )


def supervisor() -> str:
    return unit_text.supervisor_unit(
        root="/var/lib/unictl",
        owner="shop-5f0c2a",
        unit_directory="/etc/systemd/system",
        ingress_name="unictl-bbbbbbbbbbbbbbbb.service",
        interpreter="/usr/bin/python3",
        code_path=ZIP,
    )


def ingress() -> str:
    return unit_text.ingress_unit(
        root="/var/lib/unictl",
        owner="shop-5f0c2a",
        run_directory="/var/lib/unictl/run/fedcba9876543210",
        supervisor="unictl-aaaaaaaaaaaaaaaa.service",
        interpreter="/usr/bin/python3",
        code_path=ZIP,
    )


CASES = {
    "instance": lambda: instance(memory=64 * MIB, overhead=32 * MIB, cpus=2, volumes=["orders"]),
    "instance-of-a-store-at-home": lambda: instance("/home/ops/with space/100%"),
    "ingress": ingress,
    "supervisor": supervisor,
}


@pytest.mark.parametrize("name", CASES)
def test_a_unit_is_as_its_golden_file(name: str, request: pytest.FixtureRequest) -> None:
    path, came = FOLDER / f"{name}.service", CASES[name]()
    if request.config.getoption("--accept", default=False):
        path.write_text(came)
    assert came == path.read_text()


def test_the_memory_limit_holds_guest_and_overhead_and_is_none_where_none_is_told() -> None:
    assert f"MemoryMax={96 * MIB + unit_text.MEMORY_MARGIN}\n" in instance(memory=64 * MIB, overhead=32 * MIB)
    assert "MemoryMax" not in instance()


def test_a_store_is_never_hidden_from_its_own_instances() -> None:
    assert "PrivateTmp=no\n" in instance("/var/tmp/u") and "ProtectHome=tmpfs\n" in instance("/var/tmp/u")
    assert "ProtectHome=read-only\n" in instance("/root/u") and "PrivateTmp=yes\n" in instance("/root/u")


def test_a_unit_names_the_code_it_runs() -> None:
    assert all(unit_text.runs_code(make(), ZIP) for make in CASES.values())
    assert not unit_text.runs_code(instance(), ZIP.replace("/var", "/srv"))
    assert not unit_text.runs_code("[Service]\nExecStart=/bin/true\n", ZIP)


def test_words_stay_words_whatever_they_hold() -> None:
    assert unit_text.quote_argument('a "b" $c %d \\') == '"a \\"b\\" $$c %%d \\\\"'


def test_what_a_user_of_its_own_cannot_do_anyway_is_barred_only_where_there_is_none() -> None:
    kernel = {"ProtectControlGroups", "ProtectKernelLogs", "ProtectKernelTunables", "ProtectKernelModules"}
    barred = {f"{word}=yes" for word in kernel | {"ProtectHostname", "ProtectClock", "RestrictRealtime"}}
    plain, root = (set(instance(own_user=own).splitlines()) for own in (True, False))
    assert root - plain == barred and not plain - root


GROUPS = {
    "1": (
        "9:memory:/a/x.service\n1:name=systemd:/a/x.service\n0::/a/x.service\n",
        "memory/a/x.service/memory.oom_control",
    ),
    "2": ("0::/a/x.service\n", "a/x.service/memory.events"),
}
COUNTS = {
    "1": "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n",
    "2": "low 0\nhigh 0\nmax 12\noom 1\noom_kill {}\noom_group_kill 0\n",
}


@pytest.mark.parametrize("version", GROUPS)
@pytest.mark.parametrize("killed", [0, 1])
def test_a_kill_for_want_of_memory_is_read_from_either_version_of_control_groups(
    version: str, killed: int, tmp_path: Path
) -> None:
    """The script as units run it, over files as a kernel writes them; with a kernel: ``lab/test_unit_faults``."""
    of, counts = GROUPS[version]
    (tmp_path / "cgroup").write_text(of)
    (tmp_path / counts).parent.mkdir(parents=True)
    (tmp_path / counts).write_text(COUNTS[version].format(killed))
    script = unit_text._RECORD_EXIT.replace("/sys/fs/cgroup", str(tmp_path)).replace(
        "/proc/self/cgroup", f"{tmp_path}/cgroup"
    )
    said = {"SERVICE_RESULT": "signal", "EXIT_CODE": "killed", "EXIT_STATUS": "KILL", "INVOCATION_ID": "abc"}
    subprocess.run(["sh", "-c", script, str(tmp_path)], env=said, check=True)
    cause = "out-of-memory" if killed else None
    facts = exit_sources.read_exit_facts(str(tmp_path), "abc")
    assert facts is not None
    assert (facts.status, facts.signal, facts.cause, facts.unit_stopped) == (None, 9, cause, False)


@pytest.mark.parametrize(("process", "stopped"), [("4711", True), ("", False)])
def test_a_unit_that_was_told_to_stop_while_its_process_ran_is_told_from_one_whose_process_ended(
    process: str, stopped: bool, tmp_path: Path
) -> None:
    said = {"SERVICE_RESULT": "success", "EXIT_CODE": "exited", "EXIT_STATUS": "0", "INVOCATION_ID": "abc"}
    said.update({"MAINPID": process} if process else {})
    for script in (unit_text._RECORD_STOP, unit_text._RECORD_EXIT):
        assert exit_sources.read_exit_facts(str(tmp_path), "abc") is None
        subprocess.run(["sh", "-c", script, str(tmp_path)], env=said, check=True)
    facts = exit_sources.read_exit_facts(str(tmp_path), "abc")
    assert facts is not None and facts.unit_stopped is stopped

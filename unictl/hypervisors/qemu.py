"""QEMU: one boot -> argv with path tokens, a configuration file, an exit table. Pure; measured with 7.2 on Debian 12.

The guest's command line stands in the configuration file, never in argv. ``-no-reboot`` turns a reset into an end.
``-nodefaults -no-user-config`` and fixed device models make the machine the same on every host.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from uuid import NAMESPACE_URL, uuid5

from unictl.diagnostics.finding import Finding
from unictl.fleet.model import MIB
from unictl.guests.command_words import LineLimit, check_line_length, secret_names
from unictl.guests.family import Boot, Devices, GuestFamily, Nic, PartFacts
from unictl.hypervisors.driver import HypervisorDriver
from unictl.hypervisors.launch import Forward, Launch
from unictl.hypervisors.network_engines import ENGINES

OVERHEAD = 32 * MIB
"""What a QEMU process takes besides its guest's memory: 12 MiB proportional, 33 MiB resident, whatever the guest's own
size (measured, QEMU 7.2, microvm, 100 instances)."""

MAX_CONFIG_LINE_BYTES = 1023
"""Bytes of a line of its configuration file: QEMU reads no longer ones (measured, 7.2)."""
LINE_LIMIT = LineLimit(size=MAX_CONFIG_LINE_BYTES - len('append = ""'), carrier="QEMU's configuration file")

_SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"


def process_uuid(owner: str, key: str) -> str:
    """The UUID an instance's process bears in its argv, by which a host knows it again."""
    return str(uuid5(NAMESPACE_URL, f"unictl:{owner}/{key}"))


def find_refusals(family: GuestFamily, facts: PartFacts, boot: Boot) -> tuple[Finding, ...]:
    """What only shows once every reference but the secrets is resolved: a line the configuration file cannot carry."""
    return _command_line_refusals(boot, family.command_line(_complete_boot(family, facts, boot)))


def _command_line_refusals(boot: Boot, line: str) -> tuple[Finding, ...]:
    findings = [*check_line_length(boot.service, len(line.encode()), LINE_LIMIT)]
    if '"' in line or not line.isprintable():
        findings.append(
            Finding(
                code="unsafe-character",
                path=("services", boot.service, "args"),
                summary=f"{boot.name}'s command line holds a double quote or a control character",
                hint="put the text into a file or a volume of the guest",
            )
        )
    return tuple(findings)


def build_launch(family: GuestFamily, facts: PartFacts, boot: Boot, forwards: Sequence[Forward] = ()) -> Launch:
    """How ``boot`` is run. ValueError with a sentence where ``find_refusals`` has any; ask it first."""
    boot = _complete_boot(family, facts, boot)
    line = family.command_line(boot)
    for finding in _command_line_refusals(boot, line):
        raise ValueError(finding.summary)
    devices = family.devices(boot)
    return Launch(
        hypervisor=QEMU.name,
        argv=(
            *_process_arguments(boot),
            *_machine_arguments(boot, devices),
            *_channel_arguments(),
            *_network_arguments(boot, devices, forwards),
            *_disk_arguments(boot, devices, facts),
            *_flag_pairs("-device", devices.extra),
        ),
        config=_config_file(facts, line),
        exits=family.exits,
        images=tuple(facts[role].sha256 for role in ("kernel", "initrd", "disk") if role in facts),
        volumes=tuple(disk.volume for disk in boot.disks),
        forwards=tuple(forwards),
        secrets=secret_names(line),
        forbidden_characters=family.refused,
        max_line_bytes=MAX_CONFIG_LINE_BYTES,
        memory=boot.memory,
        overhead=OVERHEAD,
        cpus=boot.cpus,
    )


def _process_arguments(boot: Boot) -> tuple[str, ...]:
    """The process itself: nothing from outside, an end instead of a reset, and who it is."""
    return (
        *("{qemu}", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        *("-name", boot.key, "-uuid", process_uuid(boot.owner, boot.key)),
    )


def _complete_boot(family: GuestFamily, facts: PartFacts, boot: Boot) -> Boot:
    return replace(boot, machine=boot.machine or family.machines[0], parts=tuple(sorted(facts)))


def _machine_arguments(boot: Boot, devices: Devices) -> tuple[str, ...]:
    return (
        *("-machine", ",".join((boot.machine, *devices.machine)), "-accel", "{accel}", "-cpu", "{cpu}"),
        *("-smp", str(boot.cpus), "-m", _memory_size(boot.memory)),
        *_flag_pairs("-global", devices.defaults),
    )


def _channel_arguments() -> tuple[str, ...]:
    """The sandbox, the boot file, and the three ways in: pid file, monitor, console.

    The console is there before the guest's first step, whatever the host makes of it: with ``server=off,reconnect=1``
    QEMU connects beside that step, and a guest of 40 bytes was heard 6 times of 20 (measured, 7.2).
    """
    return (
        *("-sandbox", _SANDBOX, "-readconfig", "{config}", "-pidfile", "{run}/pid"),
        *("-qmp", "unix:{run}/qmp,server=on,wait=off"),
        *("-chardev", "{console}", "-serial", "chardev:console"),
    )


def _memory_size(size: int) -> str:
    return f"{size // MIB}M" if size % MIB == 0 else f"{size // 1024}K"


def _flag_pairs(flag: str, values: Sequence[str]) -> Iterator[str]:
    for value in values:
        yield from (flag, value)


def _format_option(*parts: str, **values: str) -> str:
    """An option of QEMU's ``word,key=value`` form; a comma inside a value is doubled, as its parser wants it."""
    doubled = (f"{key}={value.replace(',', ',,')}" for key, value in values.items())
    return ",".join((*parts, *doubled))


def _network_arguments(boot: Boot, devices: Devices, forwards: Sequence[Forward]) -> Iterator[str]:
    """A network for each NIC; the ports are forwarded to the first."""
    for index, nic in enumerate(boot.nics):
        yield from ("-netdev", _netdev_option(f"net{index}", nic, forwards if index == 0 else ()))
        yield from ("-device", _format_option(devices.nic, netdev=f"net{index}", mac=nic.mac))


def _netdev_option(name: str, nic: Nic, forwards: Sequence[Forward]) -> str:
    """The far side of a NIC, as the engine of its network says."""
    netdev = ENGINES[nic.mode].netdev(nic, forwards)
    return ",".join((_format_option(netdev.kind, id=name, **dict(netdev.values)), *netdev.words))


def _disk_arguments(boot: Boot, devices: Devices, facts: PartFacts) -> Iterator[str]:
    """The image's own disk first, read-only because the store's file is shared; then the volumes in their order."""
    if "disk" in facts:
        source = _format_option(
            file=f"{{image:{facts['disk'].sha256}}}", format=_disk_format(facts), id="image", readonly="on"
        )
        yield from ("-drive", f"{source},if=none", "-device", _format_option(devices.disk, drive="image"))
    for index, disk in enumerate(boot.disks):
        name = f"disk{index}"
        source = _format_option(file=f"{{volume:{disk.volume}}}", format="raw", id=name, cache="writeback")
        model = _format_option(devices.disk, drive=name, serial=disk.device[:20])
        yield from ("-drive", f"{source},if=none", "-device", model)


def _disk_format(facts: PartFacts) -> str:
    return "qcow2" if facts["disk"].kind == "qcow2" else "raw"


def _config_file(facts: PartFacts, line: str) -> str:
    """The configuration file: no indentation, because its reader counts bytes; no empty value, which it cannot read."""
    lines = [f'{role} = "{{image:{facts[role].sha256}}}"' for role in ("kernel", "initrd") if role in facts]
    if line and lines:
        lines.append(f'append = "{line}"')
    return "\n".join(("[machine]", *lines, "")) if lines else ""


QEMU = HypervisorDriver(
    name="qemu",
    overhead=OVERHEAD,
    line_limit=LINE_LIMIT,
    tokens=("qemu", "accel", "cpu", "console"),
    missing_code="no-qemu",
    identity=process_uuid,
    refusals=find_refusals,
    launch=build_launch,
)

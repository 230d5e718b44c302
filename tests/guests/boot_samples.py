"""A Boot out of a case file."""

from typing import Any

from unictl.guests.family import Boot, Disk, Nic

DEFAULTS: dict[str, Any] = {"service": "api", "ordinal": 0, "generation": "7f3c9a1b", "memory": 16 << 20}


def boot(plain: dict[str, Any]) -> Boot:
    """The boot with the given fields; a NIC on the default user network unless told otherwise."""
    nic = {"address": "10.0.2.15/24", "gateway": "10.0.2.2", "dns": "10.0.2.3", "mac": "02:00:00:00:00:01"}
    fields = {**DEFAULTS, **plain}
    fields["args"] = tuple(fields.get("args", ()))
    fields["parts"] = tuple(fields.get("parts", ("kernel",)))
    fields["nics"] = tuple(Nic(**{**nic, **given}) for given in fields.get("nics", [{}]))
    fields["disks"] = tuple(Disk(**given) for given in fields.get("disks", ()))
    return Boot(**fields)

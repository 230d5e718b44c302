"""Connection addresses: ``local`` or ``ssh://[user@]host[:port]``, parsed and formatted. Pure; opens nothing."""

import re

from unictl.fleet.model import ConnectionAddress

# A word that begins with "-" would be read as an option by ssh (CVE-2017-1000117 and its kin).
_SSH = re.compile(
    r"ssh://(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9_.-]*)@)?"
    r"(?P<host>[A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)


def parse_connection_url(text: str) -> ConnectionAddress:
    """The parts of ``text``; ValueError with a sentence otherwise."""
    if text == "local":
        return ConnectionAddress()
    match = _SSH.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is no way to a host: {_explain_invalid(text)}")
    port = int(match["port"]) if match["port"] else None
    if port is not None and not 0 < port < 65536:
        raise ValueError(f"{text!r} has no possible port: ports go from 1 to 65535")
    return ConnectionAddress(kind="ssh", host=match["host"].strip("[]"), user=match["user"] or "", port=port)


def _explain_invalid(text: str) -> str:
    if text in ("localhost", "127.0.0.1", "::1", "ssh://local"):
        return "write local"
    address = text.removeprefix("ssh://")
    if address == text:
        suggestion = f"write ssh://{text}" if _SSH.fullmatch(f"ssh://{text}") and "/" not in text else "write local"
        return f"{suggestion} or ssh://[user@]host[:port]" if suggestion == "write local" else f"{suggestion}, or local"
    if address.startswith("-") or "@-" in address:
        return "a user or host that begins with '-' would be an option of ssh"
    if ":" in address.split("@")[0] and "@" in address:
        return "a password has no place here; use keys or an agent"
    if "/" in address:
        return "nothing may follow the host; the folder on the host is the key `root`"
    return "write local or ssh://[user@]host[:port]"


def format_connection_url(connect: ConnectionAddress) -> str:
    """How ``connect`` is written; ``parse_connection_url`` of it gives ``connect`` again."""
    if connect.kind == "local":
        return "local"
    host = f"[{connect.host}]" if ":" in connect.host else connect.host
    user = f"{connect.user}@" if connect.user else ""
    return f"ssh://{user}{host}{'' if connect.port is None else f':{connect.port}'}"

"""The HAProxy configuration of a fleet's ingress on one host, and its digest. Pure.

The text has one placeholder, the line ``{global}``. The host replaces it by its own settings: user, control socket,
connection limit, and a description with the digest, which identifies a running ingress. Only the host can check the
configuration with HAProxy; this module decides which values may appear in it.
"""

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Literal
from urllib.parse import quote

from unictl.fleet.model import Probe
from unictl.fleet.quantities import format_duration
from unictl.plan.model.ingress import Listener, Server

MAX_CONFIG_BYTES = 15 << 20
"""Bytes of text that a host can be told in one request."""
_SAFE_WORD = re.compile(r"[A-Za-z0-9_.:@*-]+")

# A port that QEMU forwards has a backlog of one: of many clients at once the kernel drops all others, which would try
# again after 1, 3, 7 s. Short patience and many tries serve them at once.
_DEFAULTS = """\
defaults
    balance roundrobin
    retries 10
    option redispatch 1
    timeout connect 200ms
    timeout queue 5s
    timeout client-fin 10s
    timeout server-fin 10s
"""

# A retry after a lost connection is always right: the guest saw nothing. After an empty answer the guest may have
# acted already, so only what may be repeated by its own definition (RFC 9110, 9.2.2) is sent again.
# An idle connection of a client holds a leave up until it is used or closed: hence the short time to keep it.
_HTTP_OPTIONS = """\
    mode http
    option idle-close-on-response
    timeout client 1m
    timeout server 1m
    timeout tunnel 1h
    timeout http-request 10s
    timeout http-keep-alive 5s
    retry-on conn-failure empty-response
    http-request disable-l7-retry unless { method GET HEAD OPTIONS PUT DELETE TRACE }
"""

# An idle session of a database is no fault: only a peer that is gone is, and keep-alive finds it.
_TCP_OPTIONS = """\
    mode tcp
    option clitcpka
    option srvtcpka
    timeout client 1h
    timeout server 1h
"""


def ingress_check(health: Iterable[Probe]) -> Probe | None:
    """The gate's check that an ingress can repeat: the first by http, else the first by tcp; None: connect only."""
    probes = [probe for probe in health if probe.kind in ("http", "tcp")]
    return min(probes, key=lambda probe: probe.kind != "http", default=None)


def proxy_mode(check: Probe | None) -> Literal["http", "tcp"]:
    """``http`` where the check speaks it: then a request can be sent anew, and nobody answers with a 503."""
    return "http" if check is not None and check.kind == "http" else "tcp"


def render(owner: str, listeners: Iterable[Listener]) -> str:
    """HAProxy's configuration for these listeners; empty where there are none (then the ingress is to stop)."""
    ordered = sorted(listeners, key=lambda listener: (listener.name, listener.bind, listener.port))
    if not ordered:
        return ""
    groups: dict[tuple[object, ...], list[Listener]] = {}
    for listener in ordered:
        groups.setdefault(_section_key(listener), []).append(listener)
    used_names: set[str] = set()
    return "\n".join(
        [_global_section(owner, ordered), _DEFAULTS, *(_listen_section(group, used_names) for group in groups.values())]
    )


def config_digest(text: str) -> str:
    """What a running ingress is compared by; empty for no ingress."""
    return sha256(text.encode()).hexdigest() if text else ""


def _section_key(listener: Listener) -> tuple[object, ...]:
    """Listeners that are equal in this share one section, so that no instance is checked twice for nothing."""
    servers = tuple(sorted(listener.servers, key=lambda server: server.name))
    return ("" if servers else listener.name, listener.mode, servers, listener.check)


def _global_section(owner: str, listeners: list[Listener]) -> str:
    drain = max(1, *(listener.drain for listener in listeners), 1)
    lines = [
        f"# The ingress of {_safe_word(owner)}, written by unictl from the fleet file: changes made here are lost.",
        "global",
        "{global}",
        "    noreuseport",
        f"    hard-stop-after {format_duration(drain)}",
        "",
    ]
    return "\n".join(lines)


def _listen_section(group: list[Listener], used_names: set[str]) -> str:
    first = group[0]
    lines = [f"listen {_unique_name(first, used_names)}"]
    lines += [f"    bind {_safe_word(item.bind or '*')}:{item.port:d}" for item in group]
    lines += [(_HTTP_OPTIONS if first.mode == "http" else _TCP_OPTIONS).rstrip("\n")]
    lines += [f"    {line}" for line in _check_lines(first)]
    lines += [f"    {_server_line(server)}" for server in sorted(first.servers, key=lambda item: item.name)]
    return "\n".join(lines) + "\n"


def _unique_name(listener: Listener, used_names: set[str]) -> str:
    name = _safe_word(listener.name)
    if name in used_names:
        name = f"{name}:{listener.port}"
    used_names.add(name)
    return name


def _check_lines(listener: Listener) -> list[str]:
    """The gate's check in HAProxy's words: down after two failures, up after one success."""
    check = listener.check or Probe(kind="connect")
    interval, fast_interval = format_duration(max(1, check.interval)), format_duration(max(1, min(100, check.interval)))
    return [
        *_exchange_lines(check, listener.name),
        f"timeout check {format_duration(max(1, check.timeout))}",
        f"default-server check inter {interval} fastinter {fast_interval} downinter {interval} fall 2 rise 1",
    ]


def _exchange_lines(check: Probe, name: str) -> list[str]:
    if check.kind == "http":
        return [
            "option httpchk",
            f"http-check send meth GET uri {_quoted_target(check.path)} ver HTTP/1.1 hdr Host {_safe_word(name)}",
            "http-check expect status 200-399",
        ]
    if check.kind != "tcp" or not (check.send or check.expect):
        return []
    # Bytes in hex: a quote, a space or a newline of the fleet file never meets HAProxy's own quoting.
    lines = ["option tcp-check", "tcp-check connect"]
    lines += [f"tcp-check send-binary {check.send.encode().hex()}"] if check.send else []
    return lines + ([f"tcp-check expect binary {check.expect.encode().hex()}"] if check.expect else [])


def _server_line(server: Server) -> str:
    check_option = f" port {server.check_port:d}" if server.check_port and server.check_port != server.port else ""
    return f"server {_safe_word(server.name)} {_safe_word(server.address)}:{server.port:d}{check_option}"


def _quoted_target(path: str) -> str:
    """A request target in strong quotes, with what HTTP does not allow in one escaped as URLs do."""
    return "'" + quote(path or "/", safe="/?[]@!$&()*+,;=:%~") + "'"


def _safe_word(text: str) -> str:
    """``text`` where it is one word to HAProxy; a ValueError where it could be more than one, or something else."""
    if not _SAFE_WORD.fullmatch(text):
        raise ValueError(f"{text!r} cannot stand in an ingress configuration")
    return text

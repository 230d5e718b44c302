"""The exact formats behind ``x-kind`` in the schema: text -> why it is invalid, in a sentence. Pure.

JSON Schema's patterns serve editors; these checks produce messages for people, and they are the ones that count.
"""

import ipaddress
import posixpath
import re
from collections.abc import Callable

from unictl.fleet import connect_url, failure_scenarios, quantities, references, selection
from unictl.fleet.names import name_problem

FormatCheck = Callable[[str], object]
"""Raises ValueError with a sentence, or returns one; a falsy answer means that all is well."""


def invalid_reason(kind: str, text: str) -> str:
    """Why ``text`` is not of ``kind``; empty when it is."""
    try:
        outcome = FORMAT_CHECKS[kind](str(text))
    except ValueError as error:
        return str(error)
    return outcome if isinstance(outcome, str) else ""


def _pattern_check(pattern: str, complaint: str) -> FormatCheck:
    expression = re.compile(pattern)
    return lambda text: "" if expression.fullmatch(text) else f"{text!r} is {complaint}"


def _check_service_name(text: str) -> str:
    return name_problem(text, service=True)


def _check_memory(text: str) -> str:
    return "" if quantities.parse_memory(text) else f"{text!r} is nothing at all: write an amount such as 64MiB"


def _check_reserve(text: str) -> str:
    try:
        quantities.parse_share(text) if text.endswith("%") else quantities.parse_memory(text)
    except ValueError:
        return f"{text!r} is neither an amount of memory such as 2GiB nor a percentage such as 10%"
    return ""


def _check_duration(text: str) -> str:
    return (
        "" if quantities.parse_duration(text) else f"{text!r} is no time at all: write a duration such as 500ms or 5m"
    )


def _check_delay(text: str) -> str:
    quantities.parse_duration(text)
    return ""


def _check_ip(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return f"{text!r} is no IP address such as 10.0.0.11; names belong into `connect`"
    return ""


def _check_ipv4(text: str) -> str:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return f"{text!r} is no IPv4 address such as 10.30.0.1"
    return ""


def _check_subnet(text: str) -> str:
    complaint = f"{text!r} is no IPv4 subnet such as 10.30.0.0/24"
    if "/" not in text:
        return f"{complaint}: the length after '/' is missing"
    try:
        network = ipaddress.IPv4Network(text, strict=False)
    except ValueError:
        return complaint
    if text.split("/")[0] != str(network.network_address):
        return f"{text!r} has bits set behind its length: the subnet is {network}"
    return "" if network.prefixlen <= 30 else f"{text!r} has no room for guests: use a length of at most 30"


def _check_endpoints(text: str) -> str:
    ports = re.fullmatch(r"([0-9]{1,5})-([0-9]{1,5})", text)
    if ports:
        first, last = int(ports[1]), int(ports[2])
        if not 0 < first <= last < 65536:
            return f"{text!r} is no port range: it goes upwards, from 1 to 65535 at most"
        return ""
    if "/" in text:
        return _check_subnet(text)
    return f"{text!r} is neither a port range such as 20000-29999 nor a subnet such as 10.30.128.0/24"


def _check_port(text: str) -> str:
    number, slash, protocol = text.partition("/")
    if not re.fullmatch("[0-9]{1,5}", number) or (slash and protocol not in ("udp", "tcp")):
        return f"{text!r} is no port: write a number such as 8080, or 53/udp"
    return "" if 0 < int(number) < 65536 else f"{text!r} is no port: ports go from 1 to 65535"


def _check_published_port(text: str) -> str:
    if text.isascii() and text.isdecimal():
        return "" if len(text) < 6 and 0 < int(text) < 65536 else f"{text!r} is no port: ports go from 1 to 65535"
    if text in ("port", "to", "host", "sni", "tls"):
        return f"a single publication stands in a list: write [{{{text}: ...}}]"
    if ":" in text:
        return f"{text!r} is no port: write the port on the hosts, such as 80, and the name of the service's port"
    return f"{text!r} is no port: the number on the hosts stands first, then the name of the service's port"


def _check_port_name(text: str) -> str:
    if re.fullmatch("[0-9]+", text):
        return f"{text!r} is a number: here stands the name that the port has under `ports`"
    return name_problem(text)


def _check_source(text: str) -> str:
    if text.startswith("https://"):
        return _check_https_url(text)
    if "://" in text:
        return f"{text!r} cannot be fetched: only https:// URLs can"
    # What lies elsewhere is in no revision of the fleet.
    if text.startswith("/") or posixpath.normpath(text).split("/")[0] == "..":
        return f"{text!r} leads out of the folder of the fleet file: only what lies in it or below can be named"
    return _check_path(text)


def _check_https_url(text: str) -> str:
    if re.fullmatch(r"https://[A-Za-z0-9.\[\]:-]+/\S*", text):
        return ""
    return f"{text!r} is no https URL such as https://example.org/app.elf"


def _check_path(text: str) -> str:
    if not text or "\0" in text:
        return "a path is wanted, and there is none"
    return "" if not text.endswith("/") else f"{text!r} is a folder: a file is wanted"


def _check_absolute_path(text: str) -> str:
    if not text.startswith("/"):
        return f"{text!r} is no absolute path: begin with '/'"
    return f"{text!r} goes upwards: write the path without '..'" if ".." in text.split("/") else ""


def _check_glob(text: str) -> str:
    if not text:
        return "a glob is wanted, and there is none"
    if text.startswith("/") or ".." in text.split("/"):
        return f"{text!r} leaves the folder of the fleet file: only what lies in it or below can be named"
    return ""


def _check_pattern(text: str) -> str:
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        return f"{text!r} is no regular expression: {error}"
    return "" if text else "an empty pattern matches everything: write a part of the line to wait for"


def _check_activation(text: str) -> str:
    if text == "on_request":
        return "`on_request` needs its `idle`: write {on_request: {idle: 1m}}"
    return "" if text == "always" else f"{text!r} is no way to start: write always, or {{on_request: {{idle: 1m}}}}"


FORMAT_CHECKS: dict[str, FormatCheck] = {
    "name": name_problem,
    "service-name": _check_service_name,
    "port-name": _check_port_name,
    "memory": _check_memory,
    "reserve": _check_reserve,
    "duration": _check_duration,
    "delay": _check_delay,
    "share": quantities.parse_share,
    "ip": _check_ip,
    "ipv4": _check_ipv4,
    "subnet": _check_subnet,
    "endpoints": _check_endpoints,
    "port": _check_port,
    "published": _check_published_port,
    "connect": connect_url.parse_connection_url,
    "selector": selection.parse_selector,
    "loss": failure_scenarios.parse_host_loss,
    "text": references.parse_text,
    "source": _check_source,
    "https": _check_https_url,
    "path": _check_path,
    "absolute-path": _check_absolute_path,
    "glob": _check_glob,
    "pattern": _check_pattern,
    "activation": _check_activation,
    "id": _pattern_check(r"[0-9a-z]{4,40}", "no id: 4 to 40 lower-case letters and digits, as `unictl init` writes it"),
    "sha256": _pattern_check(r"[0-9a-f]{64}", "no SHA-256: 64 lower-case hex digits"),
    "oci": _pattern_check(
        r"[a-z0-9][\w.:-]*(?:/[\w.-]+)+(?::[\w.-]+)?(?:@sha256:[0-9a-f]{64})?",
        "no OCI reference such as registry.example.org/api:1.4",
    ),
    "label": _pattern_check(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}", "no label: letters, digits, '.', '_', '/' and '-'"),
    "variable": _pattern_check(
        r"[A-Za-z_][A-Za-z0-9_]*", "no variable name: letters, digits and '_', not beginning with a digit"
    ),
    "device": _pattern_check(r"[A-Za-z0-9][A-Za-z0-9._-]{0,30}", "no device name: letters, digits, '.', '_' and '-'"),
    "interface": _pattern_check(
        r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}", "no interface name: at most 15 letters, digits, '.', '_' and '-'"
    ),
    "hostname": _pattern_check(
        r"(?:\*\.)?[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*",
        "no host name such as shop.example.org",
    ),
    "url-path": _pattern_check(r"/[!-~]*", "no path of a URL: begin with '/', as in /healthz"),
    "word": _pattern_check(r"[A-Za-z0-9][A-Za-z0-9._-]*", "no machine type such as microvm or q35"),
}

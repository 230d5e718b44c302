"""SELinux: whether it is enforcing, and what to do if it may have caused an error. Reads one file."""

from __future__ import annotations

from ..storage import guarded_read

ENFORCE_PATH = "/sys/fs/selinux/enforce"
_DENIED_TEXT = "ermission denied"
REMEDY = (
    "SELinux enforces on this host: `ausearch -m avc -ts recent` tells what it denied; "
    "`setsebool -P haproxy_connect_any 1` lets HAProxy use any port, "
    "`semanage port -a -t http_port_t -p tcp PORT` one, `restorecon -R` mends the marks of files"
)


def is_enforcing() -> bool:
    """Whether it denies, and does not only write down what it would deny."""
    return (guarded_read.read_bytes(ENFORCE_PATH) or b"").strip() == b"1"


def capability_notes() -> list[dict[str, str]]:
    """The sentence of a survey; nothing where it does not enforce."""
    if not is_enforcing():
        return []
    text = "SELinux enforces: it may deny HAProxy its ports or files, which is told where it happens"
    hint = "`setsebool -P haproxy_connect_any 1` lets HAProxy use any port"
    return [{"code": "selinux", "text": text, "hint": hint}]


def denial_hint(error_text: str, default: str) -> str:
    """What to do about something that failed with these words: ``default``, where it is not SELinux's doing."""
    return REMEDY if _DENIED_TEXT in error_text and is_enforcing() else default

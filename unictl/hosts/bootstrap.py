"""Starts the host side: one line of shell that finds python3, and twenty lines that read the zip into a memfd.

Nothing is left on the host's disk, and no output of a login shell can be mistaken for a frame: the conversation
begins after a nonce.
"""

import base64
import shlex

BOOTSTRAP_SOURCE = r"""
import os,sys
n,z,h,r=sys.argv[1:5]
os.write(1,b"\0unictl %s %d.%d\n"%(n.encode(),sys.version_info[0],sys.version_info[1]))
if sys.version_info<(3,9): os.write(2,b"unictl: python too old\n");os._exit(70)
try: import json
except ImportError: os.write(2,b"unictl: no json\n");os._exit(71)
a=[];m=int(z)
while m:
    b=os.read(0,min(m,1<<20))
    if not b: os._exit(73)
    a.append(b);m-=len(b)
a=b"".join(a)
try: from _sha2 import sha256
except ImportError:
    try: from _sha256 import sha256
    except ImportError: from hashlib import sha256
if sha256(a).hexdigest()!=h: os.write(2,b"unictl: damaged on the way\n");os._exit(74)
import zlib
f=os.memfd_create("unictl")
m=memoryview(zlib.decompress(a))
while m: m=m[os.write(f,m):]
sys.path.insert(0,"/proc/self/fd/%d"%f)
from onhost import dispatcher
dispatcher.main(r)
"""

_BOOTSTRAP_LINE = f"import binascii;exec(binascii.a2b_base64('{base64.b64encode(BOOTSTRAP_SOURCE.encode()).decode()}'))"
"""The same without a line end or a backslash: csh cannot quote the one, fish reads the other its own way."""

_NO_PYTHON_MARK = "no-python3"
_FIND_PYTHON = (
    "for p in /usr/bin/python3 python3; do command -v $p >/dev/null && "
    f'exec $p -I -S -c "$1" "$2" "$3" "$4" "$5"; done; echo {_NO_PYTHON_MARK} >&2; exit 127'
)
SUDO_COMMAND = ("env", "LC_ALL=C", "sudo", "-n", "-H", "--")
"""What it says no with is read, so it is to say it in the words that are known here."""

NO_STORE_EXIT = 72
EXIT_REASONS = {
    70: ("its python3 is older than 3.9", "install Python 3.9 or later there"),
    71: ("its python3 has no json module", "install the whole python3 package there (python3-minimal is not enough)"),
    NO_STORE_EXIT: ("there is no place for its store", "give the host a `root:` in the fleet file"),
    73: ("the connection broke while the host side was sent", "run the same command again"),
    74: ("the host side arrived damaged", "run the same command again; an rc file there may read what is sent"),
    127: ("there is no python3 on it", "install python3 (3.9 or later) there"),
}
"""Exit codes of the start -> what is wrong with the host, and the next step."""


def command_line(nonce: str, size: int, digest: str, *, root: str = "", become: bool = False) -> tuple[str, ...]:
    """The command line on the host."""
    words = ("sh", "-c", _FIND_PYTHON, "unictl", _BOOTSTRAP_LINE, nonce, str(size), digest, root)
    return (*(SUDO_COMMAND if become else ()), *words)


def explain_exit(code: int, stderr: str, established: bool = True) -> tuple[str, str]:
    """What is wrong with a host whose start ended so, and the next step: in its own words where it has some.

    Whoever has not ``established`` has not begun: its code is that of a login shell or of something else.
    """
    if not (_NO_PYTHON_MARK in stderr if code == 127 else established):
        return "", ""
    own_message = stderr.rpartition("unictl: ")[2]
    if code == NO_STORE_EXIT and own_message != stderr:
        reason, _, hint = own_message.partition("; ")
        return reason, hint
    return EXIT_REASONS.get(code, ("", ""))


def quote_command(words: tuple[str, ...]) -> str:
    """The same as one word for a remote login shell, which may be fish or csh."""
    return shlex.join(words)

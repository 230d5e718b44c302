"""An ``ssh`` that leads to this very machine over a line of a known rate."""

import os
import sys
from pathlib import Path

_PROGRAM = """#!{python} -IS
import os, subprocess, sys, time
rate = {rate}
child = subprocess.Popen(["sh", "-c", sys.argv[-1]], stdin=subprocess.PIPE)
try:
    while piece := os.read(0, 32768):
        child.stdin.write(piece)
        child.stdin.flush()
        time.sleep(len(piece) / rate)
    child.stdin.close()
except BrokenPipeError:
    pass
sys.exit(child.wait())
"""


def environment(folder: Path, rate: float) -> dict[str, str]:
    """An environment whose ``ssh`` runs its command here, and takes in ``rate`` bytes a second at most."""
    folder.mkdir(parents=True, exist_ok=True)
    ssh = folder / "ssh"
    ssh.write_text(_PROGRAM.format(python=sys.executable, rate=rate))
    ssh.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}

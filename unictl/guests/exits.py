"""Rows that the families' exit tables share. Values only.

Sources: QEMU 7.2's SHUTDOWN reasons (qapi/run-state.json) and measured ends. With ``-no-reboot`` a reset and a triple
fault end the process with status 0, as a power-off does; only the reason tells them apart. isa-debug-exit ends the
process with (code << 1) | 1 and no event at all.
"""

from unictl.guests.ends import ExitRule, Verdict

DEBUG_EXIT = "isa-debug-exit,iobase=0x501,iosize=0x04"

HOST = (
    ExitRule(verdict=Verdict.FAILURE, reason="not-started"),
    ExitRule(verdict=Verdict.CRASH, reason="internal-error"),
    ExitRule(verdict=Verdict.CRASH, reason="guest-panic"),
    ExitRule(verdict=Verdict.KILLED, reason="host-signal"),
    ExitRule(verdict=Verdict.KILLED, reason="host-qmp-quit"),
)
"""What no guest decides. ``not-started`` is the host side's own word for a hypervisor that ended before it answered on
its monitor: QEMU ends with status 1 when it cannot start, exactly as for a guest's exit code 0."""

RESET = (ExitRule(verdict=Verdict.CRASH, reason="guest-reset"),)

"""Exit rules for QEMU that the guest families share. Values only.

Sources: QEMU 7.2's SHUTDOWN reasons (qapi/run-state.json) and measured exits. With ``-no-reboot`` a reset and a
triple fault end the process with status 0, as a power-off does; only the reason tells them apart. isa-debug- exit
ends the process with (code << 1) | 1 and no event at all.
"""

from unictl.guests.exit_rules import ExitRule, Verdict

DEBUG_EXIT_DEVICE = "isa-debug-exit,iobase=0x501,iosize=0x04"

_QEMU_MESSAGE = r"^qemu[\w-]*: (?!warning: |info: |terminating on signal )"

HOST_EXIT_RULES = (
    ExitRule(verdict=Verdict.FAILURE, reason="not-started"),
    ExitRule(verdict=Verdict.FAILURE, status=1, console=_QEMU_MESSAGE),
    ExitRule(verdict=Verdict.CRASH, reason="internal-error"),
    ExitRule(verdict=Verdict.CRASH, reason="guest-panic"),
    ExitRule(verdict=Verdict.KILLED, reason="host-signal"),
    ExitRule(verdict=Verdict.KILLED, reason="host-qmp-quit"),
)
"""What no guest decides. QEMU ends with status 1 when it cannot start, exactly as for a guest's exit code 0: so a host
side that knows says ``not-started`` as reason, and otherwise QEMU's own last words, which the console holds, tell."""

RESET_EXIT_RULES = (ExitRule(verdict=Verdict.CRASH, reason="guest-reset"),)
"""For guests that never reset the machine to end well: a triple fault looks the same."""

CODE_EXIT_RULES = (
    ExitRule(verdict=Verdict.CLEAN, status=1, code=0),
    ExitRule(verdict=Verdict.CONFIGURATION, status=64 << 1 | 1, code=64),
    ExitRule(verdict=Verdict.FAILURE, odd=True),
)
"""For guests that write their exit code, 0 to 127, to isa-debug-exit: 64 (EX_USAGE of BSD's sysexits.h) says that the
configuration is wrong, so that starting again is of no use."""

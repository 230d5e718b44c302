"""Real Debian hosts for tests and for hands: systemd, sshd, QEMU, HAProxy, each with a root and an address of its own.

By hand, from the checkout (as root; what is missing is installed by ``tests/run``)::

    python -m tests.lab up 3            three hosts, hv1 hv2 hv3 (a root is built once, then kept by its recipe)
    python -m tests.lab up 3 --suite bookworm --suite trixie      two releases, in turn
    python -m tests.lab list            names, addresses, releases, users
    python -m tests.lab run hv1 CMD     CMD as root, over ssh
    python -m tests.lab ssh hv1         a shell
    python -m tests.lab in CMD...       CMD on the lab's network, with the lab's ssh first in PATH (unictl, curl)
    eval "$(python -m tests.lab env)"   the same for this shell's ssh: ``ssh://root@hv1`` now works in a fleet file
    python -m tests.lab down            all of it gone: one signal, and the kernel takes the rest

In tests, with the fixtures of ``tests/lab/conftest.py`` (``lab``: three hosts shared by the session, put back to new
before each test that asks for it) or with ``Lab.up`` itself::

    def test_it(lab):
        host = lab["hv1"]
        host.run("systemctl is-system-running")     # over ssh, as root; .out, .err, .code; check=False to look yourself
        host.enter("ip link")                       # in the host's namespaces without ssh or network: for fault tests
        host.path("/var/lib/unictl")                # its files, seen from here
        host.reboot(); host.power_cut(); host.start(); host.wait()
        host.cut(); host.mend()                     # link down and up again
        host.drop(); host.mend()                    # every packet lost, both ways, no reset
        host.clock(+7200)                           # as every python3 -c there sees it
        host.fresh()                                # as just installed
        lab.env                                     # an environment whose ``ssh`` reaches the hosts by name
        lab.inside                                  # command prefix: runs on the lab's network (curl, unictl)

Users on each host: ``root``, ``ops`` (sudo without a password), ``plain`` (no sudo rights), ``careful`` (sudo asks for
a password); one key opens all. What runs, runs in one PID, mount and network namespace of its own: nothing is on this
machine's network, ``/run`` or ``/tmp``; if its first process dies, so does everything in it. ``lab`` of a test dies
with the test process, however that ends. Only a folder and empty control groups can be left, which the next ``up``,
``down`` or test run sweeps.
"""

"""The supervisor's event loop: what was told of a descriptor that is closed since calls nobody."""

import os

from unictl.onhost.platform.event_loop import EventLoop


def test_what_was_told_of_a_closed_descriptor_does_not_call_who_has_its_number_now() -> None:
    failed: list[bool] = []
    called: list[str] = []
    loop = EventLoop(lambda: failed.append(True))
    pipes = dict(os.pipe() for _ in range(2))

    def first(mine: int, other: int) -> None:
        called.append("first")
        loop.unwatch(mine)
        loop.unwatch(other)
        quiet, silent = os.pipe()
        pipes[quiet] = silent
        os.dup2(quiet, other)
        loop.watch(other, lambda: called.append("newcomer"))

    one, two = pipes
    loop.watch(one, lambda: first(one, two))
    loop.watch(two, lambda: first(two, one))
    for end in pipes.values():
        os.write(end, b"x")
    try:
        loop.run_once(1)
        assert called == ["first"]
        loop.run_once(0)
        assert called == ["first"]
        assert not failed
    finally:
        for pair in pipes.items():
            for descriptor in pair:
                os.close(descriptor)

"""One function per command: arguments -> operation -> view -> exit code. Each imports what it needs itself."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from unictl.cli import output, requests
from unictl.cli.arguments import Arguments
from unictl.cli.streams import Streams
from unictl.diagnostics.diagnostic import errors
from unictl.diagnostics.failure import InvalidFleet, UsageFailure, exit_code
from unictl.fleet.names import listed

Run = Callable[[Arguments, Streams], int]


def init(arguments: Arguments, streams: Streams) -> int:
    """Write a fleet to begin with."""
    from unictl.operations.setup import init

    directory = Path(arguments.directory)
    for written in init.init(directory, arguments.from_):
        streams.put(f"Wrote {directory / written}\n")
    where = "" if arguments.directory == "." else f" {arguments.directory}"
    lacking = init.lacking(directory)
    if lacking:
        from unictl.views.text.layout import wrap

        told = f"It uses what unictl cannot do yet, so it cannot be planned: {listed(lacking)}."
        streams.write(wrap(told, streams.width))
        streams.put(f"To see where, and what to take away: unictl plan{where}\n")
        return 0
    streams.put(f"To see what it would do: unictl plan{where}\n")
    return 0


def validate(arguments: Arguments, streams: Streams) -> int:
    """Check a fleet's files; the last line says what was found."""
    from unictl.operations.inspecting import inspect
    from unictl.views.text import problems
    from unictl.views.text.layout import EMPTY, counted, one

    checked = inspect.validate(requests.fleet(arguments, streams.environment))
    wrong = len(errors(checked.problems))
    valid = checked.fleet is not None and not wrong
    if arguments.json:
        from unictl.views import documents

        streams.put(documents.whole(documents.validated(checked.problems, checked.files, valid)))
        return 0 if valid else InvalidFleet.code
    if checked.problems:
        streams.write([*problems.text(checked.problems, width=streams.width, counting=False), EMPTY])
    found = [counted(wrong, "error")] if wrong else []
    found += [counted(len(checked.problems) - wrong, "warning")] if len(checked.problems) > wrong else []
    text = f"{'Valid' if valid else 'Not valid'}: {', '.join([*found, counted(len(checked.files), 'file')])}."
    streams.write([one(text, "create bold" if valid else "error")])
    return 0 if valid else InvalidFleet.code


def show(arguments: Arguments, streams: Streams) -> int:
    """Print a fleet with everything filled in, or a saved plan."""
    if Path(arguments.path).is_file():
        from unictl.operations.planning import plans

        if plans.is_planfile(Path(arguments.path)):
            return output.show_plan(arguments, streams)
    if arguments.markdown or arguments.html:
        raise UsageFailure("-markdown and -html show a plan, and this is a fleet", hint="unictl plan makes one of it")
    from unictl.operations.inspecting import inspect

    document = inspect.show(requests.fleet(arguments, streams.environment))
    if arguments.json:
        return _json(document, streams)
    from unictl.views.text import tree

    streams.write(tree.lines(document))
    return 0


def schema(arguments: Arguments, streams: Streams) -> int:
    """Print a JSON Schema: as it is, since it is a document of its own format."""
    from unictl.operations.inspecting import inspect
    from unictl.views import documents

    streams.put(documents.whole(inspect.schema(arguments.document)))
    return 0


def lock(arguments: Arguments, streams: Streams) -> int:
    """Pin images and endpoints."""
    from dataclasses import replace

    from unictl.operations.setup import lock

    # Writing the lock is what was asked for: that CI is set does not forbid it here.
    request = replace(requests.fleet(arguments, streams.environment), locked=False)
    result = lock.lock(request)
    if arguments.json:
        return _json({"type": "lock", "path": str(result.path), "changed": list(result.changed)}, streams)
    for changed in result.changed:
        streams.put(f"  {changed}\n")
    streams.put(f"Wrote {result.path}.\n" if result.changed else f"{result.path} is complete: nothing changed.\n")
    return 0


def status(arguments: Arguments, streams: Streams) -> int:
    """Show what runs; 5 where a host was silent."""
    from unictl.operations.inspecting import inspect
    from unictl.views.text import status

    document = inspect.status(requests.fleet(arguments, streams.environment))
    if arguments.json:
        _json(document, streams)
    else:
        streams.write(status.status(document, streams.width))
    return _silence(document)


def logs(arguments: Arguments, streams: Streams) -> int:
    """Print consoles, line by line as they come."""
    from unictl.operations.inspecting import inspect
    from unictl.views.text import status

    request = requests.fleet(arguments, streams.environment)
    lines = inspect.logs(
        request,
        arguments.selector,
        previous=arguments.previous,
        lines=100 if arguments.lines is None else arguments.lines,
        follow=arguments.follow,
    )
    for line in status.logs(lines):
        streams.write([line])
    return 0


def locks(arguments: Arguments, streams: Streams) -> int:
    """Show who is at work; 5 where a host was silent."""
    from unictl.operations.inspecting import inspect
    from unictl.views.text import status

    request = requests.fleet(arguments, streams.environment)
    if arguments.end_holder:
        ended = inspect.end_holder(request, arguments.end_holder)
        what = "Ended the process that held" if ended else "Nobody holds"
        return _said(f"{what} the lease of {arguments.end_holder}.", {"ended": ended}, arguments, streams)
    document = inspect.locks(request)
    if arguments.json:
        _json(document, streams)
    else:
        streams.write(status.locks(document))
    return _silence(document)


def whatif(arguments: Arguments, streams: Streams) -> int:
    """Show what would become of a fleet; 5 where a host was silent."""
    from unictl.operations.inspecting import whatif
    from unictl.views import documents
    from unictl.views.text import whatif as view

    request = requests.fleet(arguments, streams.environment)
    scale = dict(map(requests.scaled, arguments.scale))
    found = whatif.suppose(request, arguments.lose, arguments.without, scale, assume=arguments.assume)
    if arguments.json:
        streams.put(documents.whole(view.document(found.answer, found.basis, documents.FORMAT_VERSION)))
    else:
        streams.write(view.text(found.answer, found.basis, streams.width, verbose=arguments.verbose))
    return 5 if found.answer.silent else 0


def test(arguments: Arguments, streams: Streams) -> int:
    """Try the tests of a fleet; 1 where one fails."""
    from unictl.operations.inspecting import whatif
    from unictl.views import documents
    from unictl.views.text import fleet_tests

    mark, told = whatif.test(requests.fleet(arguments, streams.environment))
    if arguments.junit:
        Path(arguments.junit).write_text(fleet_tests.junit(told, mark))
    if arguments.json:
        streams.put(documents.whole(fleet_tests.document(told, documents.FORMAT_VERSION)))
    else:
        streams.write(fleet_tests.text(told, streams.width))
    return 0 if all(judged.holds for judged, _ in told) else 1


def images(arguments: Arguments, streams: Streams) -> int:
    """Show the images on the hosts; 1 where one is damaged, 5 where a host was silent."""
    from unictl.operations.inspecting import inventory
    from unictl.views.text import inventory_text

    document = inventory.images(requests.fleet(arguments, streams.environment), check=arguments.check)
    if arguments.json:
        _json(document, streams)
    else:
        streams.write(inventory_text.images(document, streams.width))
    damaged = any(row["state"] == "damaged" for row in document["images"])
    return exit_code({int(damaged), _silence(document)})


def volumes(arguments: Arguments, streams: Streams) -> int:
    """Show the fleet's volumes; 5 where a host was silent."""
    from unictl.operations.inspecting import inventory
    from unictl.views.text import inventory_text

    document = inventory.volumes(requests.fleet(arguments, streams.environment))
    if arguments.json:
        _json(document, streams)
    else:
        streams.write(inventory_text.volumes(document, streams.width))
    return _silence(document)


def completion(arguments: Arguments, streams: Streams) -> int:
    """Print a completion script."""
    from unictl.cli.completion import script

    streams.put(script(arguments.shell))
    return 0


def run(arguments: Arguments, streams: Streams) -> int:
    """Run the command that was typed."""
    if arguments.command in ("plan", "apply", "destroy"):
        from unictl.cli import plan_apply

        change: Mapping[str, Run] = {"plan": plan_apply.plan, "apply": plan_apply.apply, "destroy": plan_apply.destroy}
        return change[arguments.command](arguments, streams)
    return _READING[arguments.command](arguments, streams)


_READING: Mapping[str, Run] = {
    "init": init,
    "validate": validate,
    "show": show,
    "graph": output.graph,
    "schema": schema,
    "lock": lock,
    "status": status,
    "logs": logs,
    "locks": locks,
    "images": images,
    "volumes": volumes,
    "whatif": whatif,
    "test": test,
    "completion": completion,
}


def _said(text: str, document: Mapping[str, Any], arguments: Arguments, streams: Streams) -> int:
    """One sentence, or the same as JSON."""
    if arguments.json:
        return _json(document, streams)
    streams.put(text + "\n")
    return 0


def _json(document: Mapping[str, Any], streams: Streams) -> int:
    from unictl.views import documents

    streams.put(documents.whole(documents.document(document)))
    return 0


def _silence(document: Mapping[str, Any]) -> int:
    silent = any(not host.get("reachable", True) for host in document.get("hosts") or ())
    return 5 if silent else 0

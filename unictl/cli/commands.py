"""One function a command: typed arguments -> operation -> view -> exit code. What a command needs it imports itself."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from unictl.cli import asked, seeing
from unictl.cli.arguments import Arguments
from unictl.cli.streams import Streams
from unictl.diagnostics.diagnostic import errors
from unictl.diagnostics.failure import InvalidFleet, UsageFailure, exit_code
from unictl.fleet.names import listed

Run = Callable[[Arguments, Streams], int]


def init(arguments: Arguments, streams: Streams) -> int:
    """Write a fleet to begin with."""
    from unictl.operations import scaffold

    directory = Path(arguments.directory)
    for written in scaffold.init(directory, arguments.from_):
        streams.put(f"Wrote {directory / written}\n")
    where = "" if arguments.directory == "." else f" {arguments.directory}"
    lacking = scaffold.lacking(directory)
    if lacking:
        from unictl.views.layout import wrap

        told = f"It uses what unictl cannot do yet, so it cannot be planned: {listed(lacking)}."
        streams.write(wrap(told, streams.width))
        streams.put(f"To see where, and what to take away: unictl plan{where}\n")
        return 0
    streams.put(f"To see what it would do: unictl plan{where}\n")
    return 0


def validate(arguments: Arguments, streams: Streams) -> int:
    """Check a fleet's files; the last line says what was found."""
    from unictl.operations import inspect
    from unictl.views import problems
    from unictl.views.layout import EMPTY, counted, one

    checked = inspect.validate(asked.fleet(arguments, streams.environment))
    wrong = len(errors(checked.problems))
    valid = checked.fleet is not None and not wrong
    if arguments.json:
        from unictl.views import json

        streams.put(json.whole(json.validated(checked.problems, checked.files, valid)))
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
        from unictl.operations import plan as planning

        if planning.is_planfile(Path(arguments.path)):
            return seeing.show_plan(arguments, streams)
    if arguments.markdown or arguments.html:
        raise UsageFailure("-markdown and -html show a plan, and this is a fleet", hint="unictl plan makes one of it")
    from unictl.operations import inspect

    document = inspect.show(asked.fleet(arguments, streams.environment))
    if arguments.json:
        return _json(document, streams)
    from unictl.views import tree

    streams.write(tree.lines(document))
    return 0


def schema(arguments: Arguments, streams: Streams) -> int:
    """Print a JSON Schema: as it is, since it is a document of its own format."""
    from unictl.operations import inspect
    from unictl.views import json

    streams.put(json.whole(inspect.schema(arguments.document)))
    return 0


def lock(arguments: Arguments, streams: Streams) -> int:
    """Pin images and endpoints."""
    from dataclasses import replace

    from unictl.operations import lock as locking

    # Writing the lock is what was asked for: that CI is set does not forbid it here.
    request = replace(asked.fleet(arguments, streams.environment), locked=False)
    result = locking.lock(request)
    if arguments.json:
        return _json({"type": "lock", "path": str(result.path), "changed": list(result.changed)}, streams)
    for changed in result.changed:
        streams.put(f"  {changed}\n")
    streams.put(f"Wrote {result.path}.\n" if result.changed else f"{result.path} is complete: nothing changed.\n")
    return 0


def status(arguments: Arguments, streams: Streams) -> int:
    """Show what runs; 5 where a host was silent."""
    from unictl.operations import inspect
    from unictl.views import status as view

    document = inspect.status(asked.fleet(arguments, streams.environment))
    if arguments.json:
        _json(document, streams)
    else:
        streams.write(view.status(document, streams.width))
    return _silence(document)


def logs(arguments: Arguments, streams: Streams) -> int:
    """Print consoles, line by line as they come."""
    from unictl.operations import inspect
    from unictl.views import status as view

    request = asked.fleet(arguments, streams.environment)
    lines = inspect.logs(
        request,
        arguments.selector,
        previous=arguments.previous,
        lines=100 if arguments.lines is None else arguments.lines,
        follow=arguments.follow,
    )
    for line in view.logs(lines):
        streams.write([line])
    return 0


def locks(arguments: Arguments, streams: Streams) -> int:
    """Show who is at work; 5 where a host was silent."""
    from unictl.operations import inspect
    from unictl.views import status as view

    request = asked.fleet(arguments, streams.environment)
    if arguments.end_holder:
        ended = inspect.end_holder(request, arguments.end_holder)
        what = "Ended the process that held" if ended else "Nobody holds"
        return _said(f"{what} the lease of {arguments.end_holder}.", {"ended": ended}, arguments, streams)
    document = inspect.locks(request)
    if arguments.json:
        _json(document, streams)
    else:
        streams.write(view.locks(document))
    return _silence(document)


def whatif(arguments: Arguments, streams: Streams) -> int:
    """Show what would become of a fleet; 5 where a host was silent."""
    from unictl.operations import suppose
    from unictl.views import json
    from unictl.views import whatif as view

    request = asked.fleet(arguments, streams.environment)
    scale = dict(map(asked.scaled, arguments.scale))
    found = suppose.suppose(request, arguments.lose, arguments.without, scale, assume=arguments.assume)
    if arguments.json:
        streams.put(json.whole(view.document(found.answer, found.basis, json.FORMAT_VERSION)))
    else:
        streams.write(view.text(found.answer, found.basis, streams.width, verbose=arguments.verbose))
    return 5 if found.answer.silent else 0


def test(arguments: Arguments, streams: Streams) -> int:
    """Try the tests of a fleet; 1 where one fails."""
    from unictl.operations import suppose
    from unictl.views import expectations as view
    from unictl.views import json

    mark, told = suppose.test(asked.fleet(arguments, streams.environment))
    if arguments.junit:
        Path(arguments.junit).write_text(view.junit(told, mark))
    if arguments.json:
        streams.put(json.whole(view.document(told, json.FORMAT_VERSION)))
    else:
        streams.write(view.text(told, streams.width))
    return 0 if all(judged.holds for judged, _ in told) else 1


def images(arguments: Arguments, streams: Streams) -> int:
    """Show the images on the hosts; 1 where one is damaged, 5 where a host was silent."""
    from unictl.operations import stored
    from unictl.views import stores

    document = stored.images(asked.fleet(arguments, streams.environment), check=arguments.check)
    if arguments.json:
        _json(document, streams)
    else:
        streams.write(stores.images(document, streams.width))
    damaged = any(row["state"] == "damaged" for row in document["images"])
    return exit_code({int(damaged), _silence(document)})


def volumes(arguments: Arguments, streams: Streams) -> int:
    """Show the fleet's volumes; 5 where a host was silent."""
    from unictl.operations import stored
    from unictl.views import stores

    document = stored.volumes(asked.fleet(arguments, streams.environment))
    if arguments.json:
        _json(document, streams)
    else:
        streams.write(stores.volumes(document, streams.width))
    return _silence(document)


def completion(arguments: Arguments, streams: Streams) -> int:
    """Print a completion script."""
    from unictl.cli.completion import script

    streams.put(script(arguments.shell))
    return 0


def run(arguments: Arguments, streams: Streams) -> int:
    """Run the command that was typed."""
    if arguments.command in ("plan", "apply", "destroy"):
        from unictl.cli import changing

        change: Mapping[str, Run] = {"plan": changing.plan, "apply": changing.apply, "destroy": changing.destroy}
        return change[arguments.command](arguments, streams)
    return _READING[arguments.command](arguments, streams)


_READING: Mapping[str, Run] = {
    "init": init,
    "validate": validate,
    "show": show,
    "graph": seeing.graph,
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
    from unictl.views import json

    streams.put(json.whole(json.document(document)))
    return 0


def _silence(document: Mapping[str, Any]) -> int:
    silent = any(not host.get("reachable", True) for host in document.get("hosts") or ())
    return 5 if silent else 0

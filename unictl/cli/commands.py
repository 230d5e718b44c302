"""One function per command: arguments -> operation -> view -> exit code. Each imports what it needs itself."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from unictl.cli import output, requests
from unictl.cli.arguments import Arguments
from unictl.cli.streams import Streams
from unictl.diagnostics.diagnostic import errors
from unictl.diagnostics.failure import InvalidFleet, UsageFailure, exit_code
from unictl.fleet.names import join_names

Run = Callable[[Arguments, Streams], int]


def create_fleet(arguments: Arguments, streams: Streams) -> int:
    """Write a fleet to begin with."""
    from unictl.operations.setup import init

    directory = Path(arguments.directory)
    for name in init.init_fleet(directory, arguments.from_):
        streams.put(f"Wrote {directory / name}\n")
    directory_argument = "" if arguments.directory == "." else f" {arguments.directory}"
    missing_features = init.unsupported_features(directory)
    if missing_features:
        from unictl.views.text.layout import wrap

        sentence = f"It uses what unictl cannot do yet, so it cannot be planned: {join_names(missing_features)}."
        streams.write(wrap(sentence, streams.width))
        streams.put(f"To see where, and what to take away: unictl plan{directory_argument}\n")
        return 0
    streams.put(f"To see what it would do: unictl plan{directory_argument}\n")
    return 0


def validate_fleet(arguments: Arguments, streams: Streams) -> int:
    """Check a fleet's files; the last line says what was found."""
    from unictl.operations.inspecting import inspect
    from unictl.views.text import problems
    from unictl.views.text.layout import EMPTY, count_of, styled_line

    result = inspect.validate_fleet(requests.fleet_request(arguments, streams.environment))
    error_count = len(errors(result.problems))
    valid = result.fleet is not None and not error_count
    if arguments.json:
        from unictl.views import documents

        streams.put(documents.to_text(documents.validation_document(result.problems, result.files, valid)))
        return 0 if valid else InvalidFleet.code
    if result.problems:
        streams.write([*problems.render(result.problems, width=streams.width, counting=False), EMPTY])
    counts = [count_of(error_count, "error")] if error_count else []
    counts += [count_of(len(result.problems) - error_count, "warning")] if len(result.problems) > error_count else []
    text = f"{'Valid' if valid else 'Not valid'}: {', '.join([*counts, count_of(len(result.files), 'file')])}."
    streams.write([styled_line(text, "create bold" if valid else "error")])
    return 0 if valid else InvalidFleet.code


def show_fleet(arguments: Arguments, streams: Streams) -> int:
    """Print a fleet with everything filled in, or a saved plan."""
    if Path(arguments.path).is_file():
        from unictl.operations.planning import plans

        if plans.is_planfile(Path(arguments.path)):
            return output.show_saved_plan(arguments, streams)
    if arguments.markdown or arguments.html:
        raise UsageFailure("-markdown and -html show a plan, and this is a fleet", hint="unictl plan makes one of it")
    from unictl.operations.inspecting import inspect

    document = inspect.describe_fleet(requests.fleet_request(arguments, streams.environment))
    if arguments.json:
        return _put_json(document, streams)
    from unictl.views.text import tree

    streams.write(tree.document_lines(document))
    return 0


def print_schema(arguments: Arguments, streams: Streams) -> int:
    """Print a JSON Schema: as it is, since it is a document of its own format."""
    from unictl.operations.inspecting import inspect
    from unictl.views import documents

    streams.put(documents.to_text(inspect.find_schema(arguments.document)))
    return 0


def write_lock(arguments: Arguments, streams: Streams) -> int:
    """Pin images and endpoints."""
    from dataclasses import replace

    from unictl.operations.setup import lock

    # Writing the lock is what was asked for: that CI is set does not forbid it here.
    request = replace(requests.fleet_request(arguments, streams.environment), locked=False)
    result = lock.pin_fleet(request)
    if arguments.json:
        return _put_json({"type": "lock", "path": str(result.path), "changed": list(result.changed)}, streams)
    for change_line in result.changed:
        streams.put(f"  {change_line}\n")
    streams.put(f"Wrote {result.path}.\n" if result.changed else f"{result.path} is complete: nothing changed.\n")
    return 0


def show_status(arguments: Arguments, streams: Streams) -> int:
    """Show what runs; 5 where a host was silent."""
    from unictl.operations.inspecting import inspect
    from unictl.views.text import status

    document = inspect.query_status(requests.fleet_request(arguments, streams.environment))
    if arguments.json:
        _put_json(document, streams)
    else:
        streams.write(status.render(document, streams.width))
    return _unreachable_code(document)


def print_logs(arguments: Arguments, streams: Streams) -> int:
    """Print consoles, line by line as they come."""
    from unictl.operations.inspecting import inspect
    from unictl.views.text import status

    request = requests.fleet_request(arguments, streams.environment)
    lines = inspect.read_logs(
        request,
        arguments.selector,
        previous=arguments.previous,
        lines=100 if arguments.lines is None else arguments.lines,
        follow=arguments.follow,
    )
    for line in status.console_lines(lines):
        streams.write([line])
    return 0


def show_locks(arguments: Arguments, streams: Streams) -> int:
    """Show who is at work; 5 where a host was silent."""
    from unictl.operations.inspecting import inspect
    from unictl.views.text import status

    request = requests.fleet_request(arguments, streams.environment)
    if arguments.end_holder:
        ended = inspect.end_holder(request, arguments.end_holder)
        outcome_text = "Ended the process that held" if ended else "Nobody holds"
        return _put_sentence(
            f"{outcome_text} the lease of {arguments.end_holder}.", {"ended": ended}, arguments, streams
        )
    document = inspect.query_locks(request)
    if arguments.json:
        _put_json(document, streams)
    else:
        streams.write(status.render_locks(document))
    return _unreachable_code(document)


def predict(arguments: Arguments, streams: Streams) -> int:
    """Show what would become of a fleet; 5 where a host was silent."""
    from unictl.operations.inspecting import whatif
    from unictl.views import documents
    from unictl.views.text import whatif as view

    request = requests.fleet_request(arguments, streams.environment)
    scale = dict(map(requests.parse_scale, arguments.scale))
    result = whatif.predict_fleet(request, arguments.lose, arguments.without, scale, is_offline=arguments.assume)
    if arguments.json:
        streams.put(documents.to_text(view.to_document(result.prediction, result.basis, documents.FORMAT_VERSION)))
    else:
        streams.write(view.render(result.prediction, result.basis, streams.width, verbose=arguments.verbose))
    return 5 if result.prediction.silent else 0


def run_tests(arguments: Arguments, streams: Streams) -> int:
    """Try the tests of a fleet; 1 where one fails."""
    from unictl.operations.inspecting import whatif
    from unictl.views import documents
    from unictl.views.text import fleet_tests

    mark, results = whatif.run_tests(requests.fleet_request(arguments, streams.environment))
    if arguments.junit:
        Path(arguments.junit).write_text(fleet_tests.to_junit(results, mark))
    if arguments.json:
        streams.put(documents.to_text(fleet_tests.to_document(results, documents.FORMAT_VERSION)))
    else:
        streams.write(fleet_tests.render(results, streams.width))
    return 0 if all(result.passed for result, _ in results) else 1


def show_images(arguments: Arguments, streams: Streams) -> int:
    """Show the images on the hosts; 1 where one is damaged, 5 where a host was silent."""
    from unictl.operations.inspecting import inventory
    from unictl.views.text import inventory_text

    document = inventory.list_images(requests.fleet_request(arguments, streams.environment), check=arguments.check)
    if arguments.json:
        _put_json(document, streams)
    else:
        streams.write(inventory_text.render_images(document, streams.width))
    damaged = any(image["state"] == "damaged" for image in document["images"])
    return exit_code({int(damaged), _unreachable_code(document)})


def show_volumes(arguments: Arguments, streams: Streams) -> int:
    """Show the fleet's volumes; 5 where a host was silent."""
    from unictl.operations.inspecting import inventory
    from unictl.views.text import inventory_text

    document = inventory.list_volumes(requests.fleet_request(arguments, streams.environment))
    if arguments.json:
        _put_json(document, streams)
    else:
        streams.write(inventory_text.render_volumes(document, streams.width))
    return _unreachable_code(document)


def print_completion(arguments: Arguments, streams: Streams) -> int:
    """Print a completion script."""
    from unictl.cli.completion import script

    streams.put(script(arguments.shell))
    return 0


def run(arguments: Arguments, streams: Streams) -> int:
    """Run the command that was typed."""
    if arguments.command in ("plan", "apply", "destroy"):
        from unictl.cli import plan_apply

        change: Mapping[str, Run] = {
            "plan": plan_apply.plan_fleet,
            "apply": plan_apply.apply_plan,
            "destroy": plan_apply.destroy_fleet,
        }
        return change[arguments.command](arguments, streams)
    return _COMMANDS[arguments.command](arguments, streams)


_COMMANDS: Mapping[str, Run] = {
    "init": create_fleet,
    "validate": validate_fleet,
    "show": show_fleet,
    "graph": output.show_graph,
    "schema": print_schema,
    "lock": write_lock,
    "status": show_status,
    "logs": print_logs,
    "locks": show_locks,
    "images": show_images,
    "volumes": show_volumes,
    "whatif": predict,
    "test": run_tests,
    "completion": print_completion,
}


def _put_sentence(text: str, document: Mapping[str, Any], arguments: Arguments, streams: Streams) -> int:
    """One sentence, or the same as JSON."""
    if arguments.json:
        return _put_json(document, streams)
    streams.put(text + "\n")
    return 0


def _put_json(document: Mapping[str, Any], streams: Streams) -> int:
    from unictl.views import documents

    streams.put(documents.to_text(documents.with_format_version(document)))
    return 0


def _unreachable_code(document: Mapping[str, Any]) -> int:
    any_unreachable = any(not host.get("reachable", True) for host in document.get("hosts") or ())
    return 5 if any_unreachable else 0

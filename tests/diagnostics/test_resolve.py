"""A finding becomes a diagnostic at the place that decides it, with its source line."""

from unictl.diagnostics.diagnostic import Diagnostic
from unictl.diagnostics.finding import Finding
from unictl.diagnostics.place import DocumentPath, Place
from unictl.diagnostics.resolve import PlaceTable, resolve_findings, with_source_lines
from unictl.diagnostics.sources import Sources

SERVICE = Place(file="fleet.yaml", line=2, column=3)
MEMORY = Place(file="fleet.yaml", line=3, column=13)
PLACES = PlaceTable({("services", "api"): SERVICE, ("services", "api", "memory"): MEMORY})
SOURCES = Sources({"fleet.yaml": "services:\n  api:\n    memory: 1MiB\n"})


def resolved(path: DocumentPath, fallback: DocumentPath = (), related: tuple[DocumentPath, ...] = ()) -> Diagnostic:
    finding = Finding(path=path, code="x", summary="s", fallback_path=fallback, related=related)
    (diagnostic,) = resolve_findings([finding], PLACES, SOURCES)
    return diagnostic


def test_a_finding_is_shown_where_its_path_was_written() -> None:
    diagnostic = resolved(("services", "api", "memory"))
    assert (diagnostic.place, diagnostic.source) == (MEMORY, "    memory: 1MiB")


def test_a_finding_at_a_default_is_shown_at_what_encloses_it() -> None:
    diagnostic = resolved(("services", "api", "cpus"))
    assert (diagnostic.place, diagnostic.source) == (SERVICE, "  api:")


def test_a_finding_of_nothing_that_was_written_has_no_place_and_no_line() -> None:
    diagnostic = resolved(("policy", "max_destroy"))
    assert (diagnostic.place, diagnostic.source) == (None, "")


def test_a_fallback_is_shown_only_if_the_deciding_key_is_not_written() -> None:
    assert resolved(("policy", "max_destroy"), fallback=("services", "api")).place == SERVICE
    assert resolved(("services", "api", "memory"), fallback=("services", "api")).place == MEMORY
    assert resolved(("services", "api", "cpus"), fallback=("volumes",)).place == SERVICE


def test_related_places_are_shown_once_and_never_the_place_itself() -> None:
    related = (("services", "api"), ("services", "api", "cpus"), ("services", "api", "memory"), ("hosts",))
    assert resolved(("services", "api", "memory"), related=related).related == (SERVICE,)


def test_everything_else_of_a_finding_is_kept() -> None:
    finding = Finding(path=(), code="c", summary="s", hint="h", detail="d")
    assert resolve_findings([finding], PLACES, SOURCES) == (Diagnostic(code="c", summary="s", hint="h", detail="d"),)


def test_a_source_line_is_added_only_where_the_file_is_known() -> None:
    elsewhere = Diagnostic(code="c", summary="s", place=Place(file="fleet.lock", line=1, column=1), source="{")
    here = Diagnostic(code="c", summary="s", place=SERVICE)
    assert [problem.source for problem in with_source_lines((elsewhere, here), SOURCES)] == ["{", "  api:"]


def test_a_line_beyond_the_end_of_its_file_is_empty() -> None:
    assert SOURCES.line(Place(file="fleet.yaml", line=9, column=1)) == ""

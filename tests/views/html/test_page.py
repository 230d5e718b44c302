"""The page of a plan: whole, honest, needing nothing, and closed to what a fleet file may hold."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tests.plan import cases
from tests.views import samples
from tests.views.graph.test_formats import many
from unictl.plan.file import approval, planfile
from unictl.plan.model.change import Action
from unictl.plan.model.plan import Endpoint
from unictl.plan.model.plan_facts import PlanFacts
from unictl.views.html import page

CANARY = "<script>canary</script>\"'><img src=x onerror=canary>&amp;"
VOID = {"meta", "br", "input"}
KNOWN = set(
    re.findall(
        "[a-z0-9]+",
        """html head meta title style body main header section article footer script h1 h2 h3 p b span small code pre
        ul li dl dt dd div del ins details summary input table thead tbody tr th td svg path g rect text""",
    )
)


class Reader(HTMLParser):
    """Reads a page strictly: every element is closed where it was opened."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes += [(key, value or "") for key, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.mark.parametrize("name", sorted(cases.CASES))
def test_every_golden_plan_is_a_page_that_a_parser_reads(name: str) -> None:
    made = cases.CASES[name]()
    read = Reader(page.render(made))
    assert read.seen <= KNOWN
    for change in made.changes:
        if change.action is Action.DESTROY:
            assert change.subject in read.text
        if change.action is not Action.KEEP:
            assert change.reason in read.text
    for problem in (*made.refusals, *made.warnings):
        assert " ".join(problem.summary.split()) in read.text


def test_a_page_needs_nothing_and_forbids_itself_everything_else() -> None:
    text = page.render(many(30))
    read = Reader(text)
    assert not {"link", "img", "iframe", "object"} & read.seen and text.count("<script>") == 1
    assert not [value for key, value in read.attributes if key in ("src", "href") or key.startswith("on")]
    assert "url(" not in text and "@import" not in text
    policy = next(value for key, value in read.attributes if value.startswith("default-src"))
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-")
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text)


def test_a_small_page_has_no_script_at_all() -> None:
    assert "script" not in Reader(page.render(cases.hello_again())).seen


def test_nothing_that_a_fleet_file_holds_becomes_markup() -> None:
    names = {"subject": CANARY, "service": CANARY, "host": CANARY, "detail": CANARY, "order_reason": CANARY}
    fields = tuple(replace(samples.IMAGE, path=CANARY, old=CANARY, new={CANARY: [CANARY]}) for _ in range(2))
    changes = [
        replace(each, fields=fields, origin=(CANARY,), **names) for each in (*samples.bump(3), *samples.destroys(2))
    ]
    problem = replace(samples.REFUSAL, summary=CANARY, detail=CANARY, hint=CANARY, source=CANARY, code=CANARY)
    made = samples.plan(
        [replace(each, subject=f"{CANARY}-{n}") for n, each in enumerate(changes)],
        mark=CANARY,
        environment=CANARY,
        refusals=(problem,),
        warnings=(problem,),
        silent={CANARY: CANARY},
        partial=CANARY,
        steps=(replace(samples.STEP, subject=f"{CANARY}.x", service=CANARY, host=CANARY, id=CANARY),),
        waves=(samples.wave(CANARY, (CANARY,), CANARY, is_canary=True),),
        endpoints=(Endpoint(kind="endpoint", service=CANARY, port=CANARY, address=CANARY, number=1, hosts=(CANARY,)),),
        facts=PlanFacts(places={CANARY: CANARY}),
    )
    read = Reader(page.render(made))
    assert read.seen <= KNOWN - {"script"} and not [key for key, _ in read.attributes if key.startswith("on")]
    assert read.text.count("<script>canary</script>") > 15


def test_the_page_says_all_of_it() -> None:
    made = samples.everything()
    text = Reader(page.render(made)).text
    for word in ("Refused, for 1 reason", "hv9 does not answer", samples.WARNING.summary, "10.30.128.4:20001"):
        assert word in text
    for told in ("cache-0", "fleet.yaml:31:7", "The image changed.", "d4e5f6a7d4e5", "published", "3 destroyed"):
        assert told in text
    assert planfile.plan_hash(made) in text and approval.approval_hash(made) in text


def test_what_is_destroyed_comes_first_and_is_never_in_a_fold() -> None:
    text = page.render(samples.everything())
    for n in range(3):
        before = text[: text.index(f"<b>cache-{n}</b>")]
        assert before.count("<details") == before.count("</details>") == 0


def test_every_wave_says_what_takes_it_back() -> None:
    made = cases.hello_again()
    text = Reader(page.render(made)).text
    for wave in made.waves:
        assert f"If it fails: {wave.rollback.summary}." in text


def test_memory_is_counted_by_host() -> None:
    text = Reader(page.render(cases.hello_again())).text
    assert "Capacity memory of guests and their hypervisors" in text and "hv1 3 instances, 288MiB" in text
    assert "57 GiB of 58 GiB" in text


def test_a_plan_without_changes_is_a_short_page() -> None:
    text = Reader(page.render(cases.CASES["converged_fleet_keeps_everything"]())).text
    assert "No changes." in text and "Changes" not in text.replace("No changes", "")


def test_a_plan_of_a_thousand_instances_is_a_page_of_bounded_size() -> None:
    made = many(400, replicas=2)
    text = page.render(made)
    assert len(text) < 1_000_000 and Reader(text).text.count("create_because_new") == 400

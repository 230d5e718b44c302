"""A plan as one self-contained HTML page: no other file, no network, no script needed to read it. Pure.

Everything needed for a decision is unfolded, destructive changes first; only lists of names are folded. The page's
content security policy allows only its own style, picture and filter script.
"""

from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256

from unictl import __version__
from unictl.diagnostics.diagnostic import Diagnostic
from unictl.plan.file import approval, planfile
from unictl.plan.model.plan import Plan
from unictl.views.graph import formats, step_graph
from unictl.views.html import changes, stylesheet, tables
from unictl.views.html.elements import Html, element, join, place_suffix, raw_markup, section
from unictl.views.text import plan_text
from unictl.views.text.fold import fold_rows
from unictl.views.text.layout import count_of, plain_text


def render(plan: Plan) -> str:
    """The page."""
    shown = fold_rows(plan.changes)
    parts = (
        _header_element(plan),
        _note_elements(plan),
        _problem_section("Refused", plan.refusals, "error"),
        _problem_section("Warnings", plan.warnings, "warning"),
        changes.changes_section(plan, shown),
        _order_section(plan),
        tables.waves_section(plan),
        tables.endpoints_section(plan),
        tables.capacity_section(plan),
        _footer_element(plan),
    )
    script = stylesheet.FILTER_SCRIPT if len(shown) >= changes.FILTER_FROM else ""
    return f"<!doctype html>\n{element('html', _head_element(plan, script), _body_element(parts, script), lang='en')}\n"


def _head_element(plan: Plan, script: str) -> Html:
    allowed = f"script-src 'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" if script else ""
    policy = f"default-src 'none'; style-src 'unsafe-inline'; {allowed}"
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"Plan for {plan.mark}"),
        element("style", raw_markup(stylesheet.STYLE)),
    )


def _body_element(parts: Iterable[Html], script: str) -> Html:
    return element("body", element("main", *parts), element("script", raw_markup(script)) if script else None)


def _header_element(plan: Plan) -> Html:
    facts = [
        _revision_text(plan),
        *([f"environment {plan.environment}"] if plan.environment else []),
        *_commit_subject(plan),
    ]
    facts += [sentence.rstrip(".") for sentence in plan_text.duration_sentences(plan)]
    return element(
        "header",
        element("p", "Plan for", class_="over"),
        element("h1", plan.mark),
        element("p", " · ".join(facts), class_="facts"),
        _count_tiles(plan),
        _verdict_line(plan),
    )


def _verdict_line(plan: Plan) -> Html:
    """Whether it can be applied, and the last line of the text."""
    if plan.can_apply:
        sentence = "Nothing stops this plan." if plan.has_changes else ""
        return element(
            "p",
            element("b", sentence) if sentence else None,
            element("span", plan_text.summary(plan)),
            class_="verdict",
        )
    sentence = f"Refused, for {count_of(len(plan.refusals), 'reason')}: nothing of it can be applied."
    return element("p", element("b", sentence), element("span", plan_text.summary(plan)), class_="verdict refused")


def _revision_text(plan: Plan) -> str:
    changed = "" if plan.revision.clean else " with local changes"
    return f"commit {plan.revision.commit[:12]}{changed}" if plan.revision.commit else "no commit"


def _commit_subject(plan: Plan) -> list[str]:
    return [plan.revision.subject] if plan.revision.subject else []


def _count_tiles(plan: Plan) -> Html:
    numbers = plan.counts
    tile_rows = (
        ("destroy", numbers.destroy, "destroyed"),
        ("replace", numbers.replace, "replaced"),
        ("create", numbers.add, "created"),
        ("adjust", numbers.adjust, "adjusted"),
        ("unknown", numbers.unknown, "unknown"),
        ("held", numbers.held, "held"),
        ("keep", numbers.unchanged, "unchanged"),
    )
    tiles = (
        element("li", element("b", str(number)), element("span", word), class_=f"tile {style if number else 'none'}")
        for style, number, word in tile_rows
        if number or style not in ("unknown", "held")
    )
    return element("ul", *tiles, class_="tiles")


def _note_elements(plan: Plan) -> Html:
    """What the plan does not know, leaves out, or wrote into the lock."""
    lines = (*plan_text.note_lines(plan, 10_000), *plan_text.lock_change_lines(plan, 10_000))
    return join(element("p", plain_text(line), class_="note") for line in lines)


def _problem_section(title: str, diagnostics: Iterable[Diagnostic], style: str) -> Html:
    cards = [_problem_card(diagnostic, style) for diagnostic in diagnostics]
    return section(title, f"{count_of(len(cards), 'reason' if style == 'error' else 'warning')}", *cards)


def _problem_card(problem: Diagnostic, style: str) -> Html:
    return element(
        "article",
        element("h3", problem.summary),
        element("p", problem.detail) if problem.detail else None,
        element("pre", problem.source) if problem.source.strip() else None,
        element("p", element("b", "Next: "), problem.hint) if problem.hint else None,
        element(
            "p",
            element("code", problem.code),
            *place_suffix(str(problem.place) if problem.place else ""),
            class_="code",
        ),
        class_=f"card {style}",
    )


def _order_section(plan: Plan) -> Html:
    step_drawing = step_graph.draw_folded(plan)
    if not step_drawing.nodes:
        return Html("")
    picture = element("div", raw_markup(formats.to_svg(step_drawing, with_style=False)), class_="picture", tabindex="0")
    explanation = "from left to right; what an arrow points to waits for what it comes from"
    return section("Order", explanation, picture)


def _footer_element(plan: Plan) -> Html:
    hashes = (("Plan hash", planfile.plan_hash(plan)), ("Approval hash", approval.approval_hash(plan)))
    cells = (element("div", element("dt", name), element("dd", element("code", value))) for name, value in hashes)
    return element("footer", element("dl", *cells), element("p", f"unictl {__version__}"))

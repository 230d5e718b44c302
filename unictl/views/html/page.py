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
from unictl.views.html.elements import Html, element, joined, raw, section, where
from unictl.views.text import plan_text
from unictl.views.text.fold import rows
from unictl.views.text.layout import counted, plain


def plan(plan: Plan) -> str:
    """The page."""
    shown = rows(plan.changes)
    parts = (
        _header(plan),
        _notes(plan),
        _problems("Refused", plan.refusals, "error"),
        _problems("Warnings", plan.warnings, "warning"),
        changes.changes(plan, shown),
        _order(plan),
        tables.waves(plan),
        tables.listens(plan),
        tables.capacity(plan),
        _footer(plan),
    )
    script = stylesheet.SCRIPT if len(shown) >= changes.MANY else ""
    return f"<!doctype html>\n{element('html', _head(plan, script), _body(parts, script), lang='en')}\n"


def _head(plan: Plan, script: str) -> Html:
    allowed = f"script-src 'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" if script else ""
    policy = f"default-src 'none'; style-src 'unsafe-inline'; {allowed}"
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"Plan for {plan.mark}"),
        element("style", raw(stylesheet.STYLE)),
    )


def _body(parts: Iterable[Html], script: str) -> Html:
    return element("body", element("main", *parts), element("script", raw(script)) if script else None)


def _header(plan: Plan) -> Html:
    facts = [_revision(plan), *([f"environment {plan.environment}"] if plan.environment else []), *_subject(plan)]
    facts += [told.rstrip(".") for told in plan_text.lasting(plan)]
    return element(
        "header",
        element("p", "Plan for", class_="over"),
        element("h1", plan.mark),
        element("p", " · ".join(facts), class_="facts"),
        _tiles(plan),
        _verdict(plan),
    )


def _verdict(plan: Plan) -> Html:
    """Whether it can be applied, and the last line of the text."""
    if plan.can_apply:
        told = "Nothing stops this plan." if plan.has_changes else ""
        return element(
            "p", element("b", told) if told else None, element("span", plan_text.summary(plan)), class_="verdict"
        )
    told = f"Refused, for {counted(len(plan.refusals), 'reason')}: nothing of it can be applied."
    return element("p", element("b", told), element("span", plan_text.summary(plan)), class_="verdict refused")


def _revision(plan: Plan) -> str:
    changed = "" if plan.revision.clean else " with local changes"
    return f"commit {plan.revision.commit[:12]}{changed}" if plan.revision.commit else "no commit"


def _subject(plan: Plan) -> list[str]:
    return [plan.revision.subject] if plan.revision.subject else []


def _tiles(plan: Plan) -> Html:
    numbers = plan.counts
    told = (
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
        for style, number, word in told
        if number or style not in ("unknown", "held")
    )
    return element("ul", *tiles, class_="tiles")


def _notes(plan: Plan) -> Html:
    """What the plan does not know, leaves out, or wrote into the lock."""
    told = (*plan_text.notes(plan, 10_000), *plan_text.relocked(plan, 10_000))
    return joined(element("p", plain(line), class_="note") for line in told)


def _problems(title: str, found: Iterable[Diagnostic], style: str) -> Html:
    cards = [_problem(each, style) for each in found]
    return section(title, f"{counted(len(cards), 'reason' if style == 'error' else 'warning')}", *cards)


def _problem(problem: Diagnostic, style: str) -> Html:
    return element(
        "article",
        element("h3", problem.summary),
        element("p", problem.detail) if problem.detail else None,
        element("pre", problem.source) if problem.source.strip() else None,
        element("p", element("b", "Next: "), problem.hint) if problem.hint else None,
        element("p", element("code", problem.code), *where(str(problem.place) if problem.place else ""), class_="code"),
        class_=f"card {style}",
    )


def _order(plan: Plan) -> Html:
    drawn = step_graph.folded(plan)
    if not drawn.nodes:
        return Html("")
    picture = element("div", raw(formats.svg(drawn, alone=False)), class_="picture", tabindex="0")
    told = "from left to right; what an arrow points to waits for what it comes from"
    return section("Order", told, picture)


def _footer(plan: Plan) -> Html:
    hashes = (("Plan hash", planfile.plan_hash(plan)), ("Approval hash", approval.approval_hash(plan)))
    cells = (element("div", element("dt", name), element("dd", element("code", value))) for name, value in hashes)
    return element("footer", element("dl", *cells), element("p", f"unictl {__version__}"))

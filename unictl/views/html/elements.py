"""HTML elements as values. Pure. Text is escaped unless it is an element already."""

from collections.abc import Iterable
from html import escape

from unictl.views.text.layout import clean


class Html(str):
    """A text that is markup, made by ``element`` or ``raw`` only."""

    __slots__ = ()


Child = str | Html | None
_VOID = {"meta", "br", "input", "link"}


def element(name: str, /, *children: Child, **attributes: str | bool) -> Html:
    """``<name ...>children</name>``. ``class_`` is ``class``; a true attribute stands alone, an empty one nowhere."""
    told = "".join(_attribute(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items() if value)
    if name in _VOID:
        return Html(f"<{name}{told}>")
    return Html(f"<{name}{told}>{joined(children)}</{name}>")


def joined(children: Iterable[Child]) -> Html:
    """Children one after the other."""
    return Html("".join(_child(each) for each in children if each))


def raw(markup: str) -> Html:
    """Markup of our own: a picture, a style, a script. Never anything from a plan."""
    return Html(markup)


def _child(child: str | Html) -> str:
    return child if isinstance(child, Html) else escape(clean(child))


def _attribute(key: str, value: str | bool) -> str:
    return f" {key}" if value is True else f' {key}="{escape(clean(str(value)))}"'


def section(title: str, note: str, *children: Child) -> Html:
    """A part of the page; nothing where there is nothing in it."""
    inner = joined(children)
    if not inner:
        return Html("")
    return element("section", element("h2", title, element("small", note) if note else None), inner)


def table(head: Iterable[str], lines: Iterable[Html]) -> Html:
    """Lines of cells under a head; it scrolls by itself where the page is narrow."""
    columns = (element("th", each, scope="col") for each in head)
    inner = element("table", element("thead", element("tr", *columns)), element("tbody", *lines))
    return element("div", inner, class_="wide")


def where(told: str) -> tuple[Child, ...]:
    """A place in a fleet file, after what it is the place of; nothing where it is not known."""
    return (" ", element("span", told, class_="place")) if told else ()

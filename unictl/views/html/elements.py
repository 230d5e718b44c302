"""HTML elements as values. Pure. Text is escaped unless it is an element already."""

from collections.abc import Iterable
from html import escape

from unictl.views.text.layout import sanitize


class Html(str):
    """A text that is markup, made by ``element`` or ``raw_markup`` only."""

    __slots__ = ()


Child = str | Html | None
_VOID_ELEMENTS = {"meta", "br", "input", "link"}


def element(name: str, /, *children: Child, **attributes: str | bool) -> Html:
    """``<name ...>children</name>``. ``class_`` is ``class``; a true attribute stands alone, an empty one nowhere."""
    attribute_text = "".join(
        _format_attribute(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items() if value
    )
    if name in _VOID_ELEMENTS:
        return Html(f"<{name}{attribute_text}>")
    return Html(f"<{name}{attribute_text}>{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Html:
    """Children one after the other."""
    return Html("".join(_escape_child(child) for child in children if child))


def raw_markup(markup: str) -> Html:
    """Markup of our own: a picture, a style, a script. Never anything from a plan."""
    return Html(markup)


def _escape_child(child: str | Html) -> str:
    return child if isinstance(child, Html) else escape(sanitize(child))


def _format_attribute(key: str, value: str | bool) -> str:
    return f" {key}" if value is True else f' {key}="{escape(sanitize(str(value)))}"'


def section(title: str, note: str, *children: Child) -> Html:
    """A part of the page; nothing where there is nothing in it."""
    inner = join(children)
    if not inner:
        return Html("")
    return element("section", element("h2", title, element("small", note) if note else None), inner)


def table(header: Iterable[str], lines: Iterable[Html]) -> Html:
    """Lines of cells under a head; it scrolls by itself where the page is narrow."""
    columns = (element("th", title, scope="col") for title in header)
    inner = element("table", element("thead", element("tr", *columns)), element("tbody", *lines))
    return element("div", inner, class_="wide")


def place_suffix(location: str) -> tuple[Child, ...]:
    """A place in a fleet file, after what it is the place of; nothing where it is not known."""
    return (" ", element("span", location, class_="place")) if location else ()

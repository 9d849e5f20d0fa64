"""The single-file HTML page that every report is printed on: no script, no network.

A report gives its sections; the page adds the head, the style for light and dark, and a table of
contents.  Text is escaped by the functions that take text; ``Section.body`` is markup already.

>>> section = Section("latency", "Latency", table(["variant", "p50 ms"], [["int8.tflite", 1.5]]))
>>> page("profile of demo", [section]).startswith("<!doctype html>")
True
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from edgenet import __version__

escape = html.escape


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a page.

    Attributes:
        anchor: the part's id in the page, unique, of letters, digits and hyphens.
        title: its heading, as text.
        body: its markup.
    """

    anchor: str
    title: str
    body: str


@cache
def style() -> str:
    """The style sheet, which a page carries inside itself."""
    return files("edgenet.report").joinpath("page.css").read_text(encoding="utf-8")


def page(title: str, sections: Iterable[Section], *, lead: str = "") -> str:
    """A whole HTML document that needs no other file.

    Args:
        title: the heading, as text.
        sections: the parts, in order.
        lead: markup between the heading and the first part (what was measured, and where).
    """
    parts = list(sections)
    contents = "".join(f'<a href="#{part.anchor}">{escape(part.title)}</a>' for part in parts)
    body = "".join(
        f'<section id="{part.anchor}"><h2>{escape(part.title)}</h2>{part.body}</section>\n'
        for part in parts
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style()}</style>\n</head>\n<body>\n"
        f"<header><h1>{escape(title)}</h1>{lead}</header>\n"
        f'<nav aria-label="Contents">{contents}</nav>\n'
        f"<main>\n{body}</main>\n"
        f"<footer>edgenet {escape(__version__)}</footer>\n</body>\n</html>\n"
    )


def table(
    headings: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str = "", texts: int = 1
) -> str:
    """A table that scrolls sideways on a narrow screen.

    Args:
        headings: one text for each column.
        rows: cells; text is escaped, a ``Markup`` cell is put in as it is, None shows as a dash.
        caption: a sentence above the table.
        texts: how many columns from the left hold text; the others are aligned as numbers.
    """

    def cell(tag: str, column: int, value: object) -> str:
        kind = "" if column < texts else ' class="n"'
        return f"<{tag}{kind}>{_shown(value, absent='-')}</{tag}>"

    def line(tag: str, cells: Sequence[object]) -> str:
        return "<tr>" + "".join(cell(tag, *pair) for pair in enumerate(cells)) + "</tr>"

    # Outside the scrolling part, where a phone breaks its lines; so it cannot be a <caption>.
    head = f'<p class="caption">{escape(caption)}</p>' if caption else ""
    body = "".join(line("td", row) for row in rows)
    return (
        f'{head}<div class="scroll"><table><thead>{line("th", headings)}</thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


class Markup(str):
    """Text that is HTML already, so that ``table`` does not escape it."""

    __slots__ = ()


def badge(text: str, kind: str = "warn") -> Markup:
    """A short mark beside a number; ``kind`` is ``ok``, ``warn`` or ``bad``."""
    return Markup(f'<span class="badge {kind}">{escape(text)}</span>')


def paragraph(text: str) -> str:
    """A paragraph of text."""
    return f"<p>{escape(text)}</p>"


def note(text: str) -> str:
    """A sentence that the numbers beside it must not be read without."""
    return f'<p class="note">{escape(text)}</p>'


def remarks(texts: Iterable[str]) -> str:
    """What the numbers are of, a line each."""
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f'<ul class="remarks">{items}</ul>' if items else ""


def command(text: str) -> str:
    """What to type; a click selects all of it."""
    return f'<pre class="command"><code>{escape(text)}</code></pre>'


def facts(pairs: Iterable[tuple[str, object]]) -> str:
    """A list of names with values; a None value shows as 'not known'."""
    items = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{_shown(value, absent='not known')}</dd></div>"
        for name, value in pairs
    )
    return f'<dl class="facts">{items}</dl>'


def figure(svg: str, caption: str, kind: str = "") -> str:
    """A plot with its caption; ``kind`` is a class of the style sheet."""
    style = f' class="{kind}"' if kind else ""
    return f"<figure{style}>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def figures(items: Iterable[str]) -> str:
    """Figures side by side where there is room, one below the other on a phone."""
    return f'<div class="figures">{"".join(items)}</div>'


def details(summary: str, body: str, *, shown: bool = False) -> str:
    """A part that opens on a click; ``body`` is markup."""
    state = " open" if shown else ""
    return f"<details{state}><summary>{escape(summary)}</summary>{body}</details>"


def _shown(value: object, *, absent: str) -> str:
    """Markup for a value: itself where it is Markup, else its text, escaped."""
    if isinstance(value, Markup):
        return value
    return escape(absent if value is None else str(value))

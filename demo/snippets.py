"""Pieces of HTML: bars, tables, marked words, product cards. Every text is escaped here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Bar:
    """A share of 1 with its label.

    Attributes:
        label: What it is of.
        note: Small print after the label.
        share: 0 to 1.
        value: The share in words.
    """

    label: str
    note: str
    share: float
    value: str


@dataclass(frozen=True)
class Side:
    """What one modality says, on an axis with 0 in the middle.

    Attributes:
        label: The modality.
        share: -1 to 1 of the axis; None if the modality is missing.
        value: The number in words.
    """

    label: str
    share: float | None
    value: str


@dataclass(frozen=True)
class Mark:
    """A stretch of text.

    Attributes:
        text: Its characters.
        strength: -1 to 1, how far it speaks for or against; 0 leaves it as it is.
        hint: What it does, in words.
    """

    text: str
    strength: float = 0.0
    hint: str = ""


@dataclass(frozen=True)
class Card:
    """A product at a glance.

    Attributes:
        picture: Address of its picture, None if it has none.
        without: What is written in place of a picture.
        title: Its title.
        lines: What is said of it; the first is set apart.
    """

    picture: str | None
    without: str
    title: str
    lines: tuple[str, ...]


def bars(rows: Iterable[Bar]) -> str:
    """List shares as bars, each with its label and its value in words."""
    items = "".join(
        f'<li><div class="rk-row"><span class="rk-label">{escape(row.label)} '
        f'<span class="rk-note">{escape(row.note)}</span></span>'
        f'<span class="rk-value">{escape(row.value)}</span></div>'
        f'<div class="rk-track" aria-hidden="true">'
        f'<div class="rk-fill" style="width:{100 * row.share:.2f}%"></div></div></li>'
        for row in rows
    )
    return f'<ol class="rk-bars">{items}</ol>'


def two_sided(rows: Iterable[Side], *, against: str, favour: str) -> str:
    """Draw bars to the left and right of a middle line, with their values in words."""
    items = ""
    for row in rows:
        share = row.share or 0.0
        side = "for" if share >= 0 else "against"
        width = 50 * min(abs(share), 1.0)
        start = 50.0 if share >= 0 else 50 - width
        items += (
            f'<li><span class="rk-label">{escape(row.label)}</span>'
            f'<div class="rk-axis" aria-hidden="true"><div class="rk-{side}" '
            f'style="left:{start:.2f}%;width:{width:.2f}%"></div></div>'
            f'<span class="rk-value">{escape(row.value)}</span></li>'
        )
    ends = f'<span></span><div class="rk-ends"><span>← {escape(against)}</span>'
    ends += f"<span>{escape(favour)} →</span></div><span></span>"
    return f'<ul class="rk-sides">{items}<li class="rk-legend">{ends}</li></ul>'


def marked(pieces: Iterable[Mark]) -> str:
    """Write a text with underlined and tinted words."""
    return "".join(map(_mark, pieces))


def paragraph(label: str, content: str) -> str:
    """Write a labelled paragraph; its content is HTML already."""
    return (
        f'<div class="rk-quote"><div class="rk-note">{escape(label)}</div>'
        f'<p lang="">{content}</p></div>'
    )


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    label: str,
    bold: Iterable = (),
    texts: int = 1,
) -> str:
    """Write a table whose first columns are texts and whose other columns end flush.

    Args:
        header: Names of the columns.
        rows: Cells in words.
        label: What the table shows, for those who hear it.
        bold: Pairs of row and column to set in bold.
        texts: Columns of text, 1 or 2.
    """
    strong = set(bold)
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = ""
    for number, row in enumerate(rows):
        first, *others = (
            f"<b>{escape(cell)}</b>" if (number, column) in strong else escape(cell)
            for column, cell in enumerate(row)
        )
        cells = "".join(f"<td>{cell}</td>" for cell in others)
        body += f'<tr><th scope="row">{first}</th>{cells}</tr>'
    return (
        f'<div class="rk-scroll rk-texts-{texts}" tabindex="0" role="region" '
        f'aria-label="{escape(label)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def bring_into_view() -> str:
    """Scroll to the answer, which on a phone lies below the form."""
    return (
        "<script>setTimeout(() => document.querySelector('.rk-verdict')?.scrollIntoView("
        "{block: 'center', behavior: 'smooth'}), 300)</script>"
    )


def cards(products: Iterable[Card], *, wide: bool = False) -> str:
    """Lay products out side by side; wide cards suit the page's full width."""
    items = ""
    for one in products:
        picture = (
            f'<img src="{escape(one.picture)}" alt="">'
            if one.picture
            else f'<span class="rk-note">{escape(one.without)}</span>'
        )
        first, *others = one.lines
        lines = "".join(f'<div class="rk-note">{escape(line)}</div>' for line in others)
        items += (
            f'<li><div class="rk-frame">{picture}</div><div class="rk-title">{escape(one.title)}'
            f'</div><div class="rk-first">{escape(first)}</div>{lines}</li>'
        )
    return f'<ul class="rk-cards{" rk-wide" * wide}">{items}</ul>'


def verdict(name: str, note: str, probability: str, confidence: str) -> str:
    """Write the answer large."""
    return (
        f'<div class="rk-verdict" role="status"><div class="rk-name">{escape(name)}</div>'
        f'<div class="rk-facts"><span class="rk-pill">{escape(confidence)} · '
        f'{escape(probability)}</span><span class="rk-note">{escape(note)}</span></div></div>'
    )


def note(text: str, *, kind: str = "") -> str:
    """Write small print, or with a kind ("right", "wrong", "notice", "empty") a framed remark."""
    name = f"rk-remark rk-{kind}" if kind else "rk-note"
    return f'<div class="{name}">{escape(text)}</div>'


def spoken(text: str) -> str:
    """Write a sentence at the size of running text."""
    return f"<div>{escape(text)}</div>"


def _mark(piece: Mark) -> str:
    """Underline and tint one stretch as far as it speaks."""
    if not piece.strength:
        return escape(piece.text)
    side = "for" if piece.strength > 0 else "against"
    return (
        f'<mark class="rk-{side}" style="--rk-strength:{min(abs(piece.strength), 1):.2f}" '
        f'title="{escape(piece.hint)}">{escape(piece.text)}</mark>'
    )

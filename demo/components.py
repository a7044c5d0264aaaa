"""HTML components: bars, tables, marked words, product cards. All text is escaped here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from rakuten import storage


@dataclass(frozen=True)
class Bar:
    """A share of 1 with its label.

    Attributes:
        label: Its name.
        note: A note after the label.
        share: 0 to 1.
        value: The share as text.
    """

    label: str
    note: str
    share: float
    value: str


@dataclass(frozen=True)
class Side:
    """The contribution of a modality, on an axis with 0 in the middle.

    Attributes:
        label: The modality.
        share: -1 to 1 of the axis; None if the modality is missing.
        value: The contribution as text.
    """

    label: str
    share: float | None
    value: str


@dataclass(frozen=True)
class Range:
    """A measured share of 1 with its interval.

    Attributes:
        label: What was measured.
        share: 0 to 1.
        low: Lower end of its interval, `share` without one.
        high: Upper end, `share` without one.
        value: The share and its interval as text.
    """

    label: str
    share: float
    low: float
    high: float
    value: str


@dataclass(frozen=True)
class Mark:
    """A part of a text.

    Attributes:
        text: Its characters.
        strength: -1 to 1, evidence against or for the category; 0 is not marked.
        hint: Its effect as text.
    """

    text: str
    strength: float = 0.0
    hint: str = ""


@dataclass(frozen=True)
class Card:
    """A product with its image and some facts.

    Attributes:
        image: URL of its image, None without one.
        placeholder: Text in place of a missing image.
        title: Its title.
        lines: Facts; the first is emphasized.
    """

    image: str | None
    placeholder: str
    title: str
    lines: tuple[str, ...]


def bars(rows: Iterable[Bar], *, clear: bool = True) -> str:
    """Draw shares as bars with label and value; the first is emphasized if it is a clear answer."""
    items = "".join(
        f'<li><div class="rk-row"><span class="rk-label">{escape(row.label)} '
        f'<span class="rk-note">{escape(row.note)}</span></span>'
        f'<span class="rk-value">{escape(row.value)}</span></div>'
        f'<div class="rk-track" aria-hidden="true">'
        f'<div class="rk-fill" style="width:{100 * row.share:.2f}%"></div></div></li>'
        for row in rows
    )
    return f'<ol class="rk-bars{" rk-clear" * clear}">{items}</ol>'


def two_sided(
    rows: Iterable[Side], *, against: str, favour: str, labels: Sequence[str] = ()
) -> str:
    """Draw bars to the left and right of a middle line, with their values.

    Args:
        rows: The bars.
        against: What the left side means.
        favour: What the right side means.
        labels: Of the axis, from its left to its right end, at equal distances.
    """
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
    ticks = "".join(f"<span>{escape(label)}</span>" for label in labels)
    legend = f'<span></span><div><div class="rk-ticks">{ticks}</div><div class="rk-ends">'
    legend += f"<span>← {escape(against)}</span><span>{escape(favour)} →</span></div></div>"
    return f'<ul class="rk-sides">{items}<li class="rk-legend">{legend}<span></span></li></ul>'


def gauge(title: str, rows: Iterable[Range], *, kind: str, labels: Sequence[str]) -> str:
    """Draw shares as points with intervals on an axis from 0 to 100 %.

    Args:
        title: Where the shares come from.
        rows: The shares.
        kind: "published" or "here": colour and shape of the points.
        labels: Of the axis: 0, 50 and 100 %.
    """
    items = "".join(
        f'<li><div class="rk-row"><span class="rk-label">{escape(row.label)}</span>'
        f'<span class="rk-value">{escape(row.value)}</span></div>'
        f'<div class="rk-scale" aria-hidden="true">'
        f'<div class="rk-interval" style="left:{100 * row.low:.2f}%;'
        f'width:{100 * (row.high - row.low):.2f}%"></div>'
        f'<div class="rk-point" style="left:{100 * row.share:.2f}%"></div></div></li>'
        for row in rows
    )
    ends = "".join(f"<span>{escape(label)}</span>" for label in labels)
    return (
        f'<div class="rk-gauge rk-{kind}"><div class="rk-source">{escape(title)}</div>'
        f'<ul>{items}</ul><div class="rk-ends" aria-hidden="true">{ends}</div></div>'
    )


def marked(pieces: Iterable[Mark]) -> str:
    """Write a text with underlined and tinted words."""
    return "".join(map(_mark, pieces))


def paragraph(label: str, content: str) -> str:
    """Write a labelled paragraph; its content must be HTML."""
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
    """Write a table with left-aligned text columns and right-aligned others.

    Args:
        header: Names of the columns.
        rows: Cells as text.
        label: What the table shows, for screen readers.
        bold: Pairs of row and column to set in bold.
        texts: Number of text columns, 1 or 2.
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
    """Scroll to the answer if it is not on the screen: it is below the form on a phone."""
    return """<script>setTimeout(() => {
        const answer = document.querySelector('.rk-verdict');
        const box = answer?.getBoundingClientRect();
        if (box && (box.top < 0 || box.bottom > window.innerHeight))
            answer.scrollIntoView({block: 'center', behavior: 'smooth'});
    }, 300)</script>"""


def script(path: Path) -> str:
    """Include a script."""
    return f"<script>{storage.read_text(path)}</script>"


def cards(products: Iterable[Card], *, wide: bool = False) -> str:
    """Show products side by side; wide cards fill the page."""
    items = ""
    for one in products:
        image = (
            f'<img src="{escape(one.image)}" alt="">'
            if one.image
            else f'<span class="rk-note">{escape(one.placeholder)}</span>'
        )
        first, *others = one.lines
        lines = "".join(f'<div class="rk-note">{escape(line)}</div>' for line in others)
        items += (
            f'<li><div class="rk-frame">{image}</div><div class="rk-title">{escape(one.title)}'
            f'</div><div class="rk-first">{escape(first)}</div>{lines}</li>'
        )
    return f'<ul class="rk-cards{" rk-wide" * wide}">{items}</ul>'


def verdict(name: str, note: str, pill: str) -> str:
    """Write the answer in large type."""
    return (
        f'<div class="rk-verdict" role="status"><div class="rk-name">{escape(name)}</div>'
        f'<div class="rk-facts"><span class="rk-pill">{escape(pill)}</span>'
        f'<span class="rk-note">{escape(note)}</span></div></div>'
    )


def model_name(name: str, note: str) -> str:
    """Write the name of a model above its answer, with a note."""
    return f'<div class="rk-model">{escape(name)}<div class="rk-note">{escape(note)}</div></div>'


def subject(text: str, image: str | None) -> str:
    """Name the product that an answer is for, with a thumbnail if it has an image."""
    shown = f'<img src="{escape(image)}" alt="">' if image else ""
    return f'<div class="rk-subject">{shown}<span>{escape(text)}</span></div>'


def note(text: str, *, kind: str = "") -> str:
    """Write a note; with a kind ("right", "wrong", "notice", "empty") in a frame."""
    name = f"rk-remark rk-{kind}" if kind else "rk-note"
    return f'<div class="{name}">{escape(text)}</div>'


def sentence(text: str) -> str:
    """Write a sentence in normal type."""
    return f"<div>{escape(text)}</div>"


def _mark(piece: Mark) -> str:
    """Underline and tint a part by its strength."""
    if not piece.strength:
        return escape(piece.text)
    side = "for" if piece.strength > 0 else "against"
    return (
        f'<mark class="rk-{side}" style="--rk-strength:{min(abs(piece.strength), 1):.2f}" '
        f'title="{escape(piece.hint)}">{escape(piece.text)}</mark>'
    )

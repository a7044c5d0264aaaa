"""Read what a chart shows."""

import io

import matplotlib as mpl

DATA = "twelve test rows"
"""Name of the data set in the tests of the charts."""


def texts(figure):
    """All visible text of a figure."""
    found = figure.findobj(mpl.text.Text)
    return [text.get_text() for text in found if text.get_text() and text.get_visible()]


def png(figure):
    """The bytes of a figure's PNG."""
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()

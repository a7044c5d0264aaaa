"""Pages and cards from Jinja templates."""

from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def environment(*filters: Callable[..., str], escape: bool) -> Environment:
    """Open the folder of templates; a name that a template misses is an error.

    Args:
        *filters: Functions that templates use by their name.
        escape: Whether to escape values for HTML.
    """
    opened = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=escape,
    )
    opened.filters |= {one.__name__: one for one in filters}
    return opened

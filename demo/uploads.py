"""Check uploaded images before they are classified."""

from rakuten.image import preprocessing

MAX_BYTES = 10_000_000
"""Larger files are refused; the challenge's images have 26 KB on average."""

_SIGNATURES = {"JPEG": (0, b"\xff\xd8\xff"), "PNG": (0, b"\x89PNG\r\n\x1a\n"), "WebP": (8, b"WEBP")}


def check(content: bytes) -> str | None:
    """Check an uploaded image.

    Args:
        content: Content of the file.

    Returns:
        The error's key in `demo.translations.TEXTS`; None if the image can be read.
    """
    if len(content) > MAX_BYTES:
        return "error_too_large"
    if not any(content[at : at + len(mark)] == mark for at, mark in _SIGNATURES.values()):
        return "error_wrong_type"
    try:
        preprocessing.decode(content)
    except preprocessing.TooLargeError:
        return "error_pixels"
    except preprocessing.ImageError:
        return "error_broken"
    return None

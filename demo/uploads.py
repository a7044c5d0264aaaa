"""What a visitor may hand in, checked before the model sees it."""

from rakuten.image import preprocessing

MAX_BYTES = 10_000_000
"""Larger files are refused; the challenge's pictures have 26 KB on average."""

_SIGNATURES = {"JPEG": (0, b"\xff\xd8\xff"), "PNG": (0, b"\x89PNG\r\n\x1a\n"), "WebP": (8, b"WEBP")}


def fault(content: bytes) -> str | None:
    """Say what is wrong with an uploaded picture.

    Args:
        content: The whole file.

    Returns:
        A key of `demo.wording.TEXTS`; None if the model can read it.
    """
    if len(content) > MAX_BYTES:
        return "fault_too_large"
    if not any(content[at : at + len(mark)] == mark for at, mark in _SIGNATURES.values()):
        return "fault_wrong_type"
    try:
        preprocessing.decode(content)
    except preprocessing.TooLargeError:
        return "fault_pixels"
    except preprocessing.ImageError:
        return "fault_broken"
    return None

"""The error of unusable input, and texts that fit into a message."""


class InputError(Exception):
    """The given files or options cannot be used; the message says what to change."""


def one_line(error: Exception) -> str:
    """Format an error's message as one printable line."""
    return " ".join(printable(str(error) or type(error).__name__).split())


def printable(text: str) -> str:
    """Escape the characters that UTF-8 cannot encode, such as those of undecodable file names."""
    return text.encode("utf-8", "backslashreplace").decode()

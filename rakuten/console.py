"""What commands share: standard streams that may be closed, and ports that may be in use.

Streams are closed by cron, by `>&-`, or by a reader such as `head`.
"""

import errno
import os
import socket
import sys

CLOSED = (errno.EPIPE, errno.EBADF)
"""The errors of writing to a stream that nobody reads."""


class OutputError(OSError):
    """Standard output cannot be written, for example because its disk is full."""


class PortError(Exception):
    """A server cannot listen on a port."""


def open_closed_streams() -> None:
    """Replace standard streams that are closed by the null device.

    Python sets them to None. The next file that is opened would also take their place, and
    libraries that print would write into it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115, PTH123, stays open


def show(text: str) -> None:
    """Write to standard output at once. A closed stream is not an error.

    Args:
        text: What to write; characters that the terminal cannot show are escaped.

    Raises:
        OutputError: If it cannot be written for another reason.
    """
    encoding = sys.stdout.encoding or "ascii"
    try:
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except OSError as error:
        discard_output()  # otherwise Python tries again when it exits
        if error.errno not in CLOSED:
            reason = error.strerror or type(error).__name__
            raise OutputError(f"standard output cannot be written ({reason})") from error


def discard_output() -> None:
    """Send everything that is still written to standard output to the null device."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def check_port(address: str, port: int, command: str) -> None:
    """Check that a server can listen on a port, before its address is printed.

    Args:
        address: Where the server will listen.
        port: The port.
        command: The command that takes `--port`, for the message.

    Raises:
        PortError: If another program uses the port, the user may not use it, or there is no such
            address or port.
    """
    if not 0 < port < 1 << 16:
        raise PortError(f"port {port}: expected 1 to 65535, as in '{command} --port 8080'")
    try:
        family = socket.getaddrinfo(address, port)[0][0]
        socket.create_server((address, port), family=family).close()
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise PortError(f"{address} cannot be used ({error}): pass another address") from error
        raise PortError(
            f"port {port} cannot be used ({os.strerror(error.errno)}): end the program that uses "
            f"it, or choose another port with '{command} --port {port % 65535 + 1}'"
        ) from error

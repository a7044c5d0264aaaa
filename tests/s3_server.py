"""A server of moto on loopback, for tests that need an S3 store."""

import contextlib
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}


def free_port() -> int:
    """Find a free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@contextlib.contextmanager
def serve(log: Path) -> Iterator[str]:
    """Run a server without buckets; yield its host and port."""
    address = f"127.0.0.1:{free_port()}"
    host, port = address.split(":")
    with log.open("w") as file:
        command = [sys.executable, "-m", "moto.server", "-H", host, "-p", port]
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection((host, int(port))):
                break
            assert process.poll() is None, log.read_text()
            time.sleep(1)
        else:
            raise AssertionError(f"no server after 10 minutes: {log.read_text()}")
        yield address
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def checked_credentials(address: str) -> Iterator[None]:
    """Let a server refuse unknown credentials, which it accepts otherwise."""
    _count_unchecked_requests(address, "0")
    try:
        yield
    finally:
        _count_unchecked_requests(address, "inf")


def _count_unchecked_requests(address: str, count: str) -> None:
    """Set the number of requests before the server checks credentials."""
    request = urllib.request.Request(
        f"{address}/moto-api/reset-auth", count.encode(), {"Content-Type": "text/plain"}
    )
    urllib.request.urlopen(request, timeout=600).close()

"""Downloads from web addresses and package registries, each of them once per run; local files.

pooch, the usual library for pinned downloads, reads web addresses only. Half of the sources here
are wheels and npm packages, which pip and npm read from the registry that they are set up for.
"""

import io
import logging
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import urllib.request
import zipfile
from concurrent.futures import Future
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath
from urllib.error import HTTPError
from urllib.parse import urlsplit

from rakuten import stage_log

CONNECT_SECONDS = 5.0
"""An address that does not answer within this time, name lookup included, is unreachable."""

CHUNK = 1 << 20

logger = logging.getLogger(__name__)


class UnreachableError(RuntimeError):
    """A source cannot be read; the next one may be."""


class Downloads:
    """The downloads of one run.

    Packages are kept in a folder, because several resources may be members of one. Packages and
    hosts that failed are not tried again.

    Args:
        folder: An existing folder for packages, to be removed by the caller.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._packages: dict[str, Path] = {}
        self._failures: dict[str, UnreachableError] = {}
        self._readers = {
            "url": self._read_url,
            "package": self._read_wheel,
            "npm": self._read_tarball,
            "file": self._read_file,
        }

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of source: the keys of resources.yaml that name one."""
        return tuple(self._readers)

    def read(self, kind: str, place: str) -> bytes:
        """Read the file that a source serves.

        Args:
            kind: One of `kinds`.
            place: The address, the package with its version, or the path of a local file.

        Returns:
            The file's content: for a package, the wheel or the tarball.

        Raises:
            UnreachableError: If the source does not serve it; the message gives the reason.
        """
        return self._readers[kind](place)

    def _read_url(self, url: str) -> bytes:
        """Read a web address, with a progress bar; an incomplete answer is discarded."""
        host = urlsplit(url).netloc
        if host in self._failures:
            raise UnreachableError(f"{host} did not answer a moment ago")
        try:
            response = _connect(url)
        except HTTPError as error:
            raise UnreachableError(f"HTTP {error.code} {error.reason}") from error
        except (OSError, HTTPException) as error:
            self._failures[host] = UnreachableError(_reason(error))
            raise self._failures[host] from error
        content = io.BytesIO()
        try:
            with response:
                total = int(response.headers.get("Content-Length", 0)) or None
                chunks = iter(lambda: response.read(CHUNK), b"")
                name = url.rpartition("/")[2]
                with stage_log.progress(chunks, total=total, unit="B", description=name) as bar:
                    for chunk in chunks:
                        content.write(chunk)
                        bar.update(len(chunk))
        except (OSError, HTTPException) as error:
            raise UnreachableError(_reason(error)) from error
        received = content.tell()
        if total and received != total:
            raise UnreachableError(f"the connection ended after {received:,} of {total:,} bytes")
        return content.getvalue()

    def _read_wheel(self, package: str) -> bytes:
        """Read a wheel through pip."""
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--retries", "1"]
        command += ["--only-binary", ":all:", "--disable-pip-version-check"]
        command += [] if sys.stderr.isatty() else ["--quiet"]
        return self._read_package("pip download", [*command, "--dest", "{folder}"], package)

    def _read_tarball(self, package: str) -> bytes:
        """Read a tarball through npm, with a temporary cache instead of the user's."""
        npm = shutil.which("npm")
        if npm is None:
            raise UnreachableError("npm is not installed: it comes with Node.js")
        command = [npm, "pack", "--ignore-scripts", "--fetch-retries", "1"]
        command += ["--pack-destination", "{folder}", "--cache", "{folder}/cache"]
        return self._read_package("npm pack", command, package)

    def _read_file(self, path: str) -> bytes:
        """Read a local file, relative to the working folder."""
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise UnreachableError(error.strerror or str(error)) from error

    def _read_package(self, client: str, command: list[str], package: str) -> bytes:
        """Run a registry's client, at most once per package, and read the archive it wrote."""
        if package in self._failures:
            raise self._failures[package]
        if package not in self._packages:
            logger.info("%-12s %s", client, package)
            folder = Path(tempfile.mkdtemp(dir=self._folder))
            done = subprocess.run(
                [*(word.format(folder=folder) for word in command), package],
                stdout=sys.stderr
                if sys.stderr.isatty()
                else subprocess.DEVNULL,  # pip's progress bar
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
            archives = [path for path in folder.iterdir() if path.suffix in (".whl", ".tgz")]
            if done.returncode or not archives:
                reason = _client_error(done.stderr) or "no archive was written"
                self._failures[package] = UnreachableError(f"{client}: {reason}")
                raise self._failures[package]
            self._packages[package] = archives[0]
        return self._packages[package].read_bytes()


def zip_member(archive: bytes, name: str) -> bytes:
    """Read one member of a zip archive or wheel."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return opened.read(name)


def tar_folder(archive: bytes, name: str) -> dict[str, bytes]:
    """Read the files of one folder of a .tar.gz in memory: no member's name reaches the disk.

    Returns:
        Content by file name, without files of deeper folders and without links.
    """
    files = {}
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as opened:
        for member in opened:
            path = PurePosixPath(member.name)
            reader = opened.extractfile(member) if member.isfile() else None
            if reader and str(path.parent) == name:
                files[path.name] = reader.read()
    return files


def _connect(url: str) -> HTTPResponse:
    """Open an address in a thread, because no time limit applies to looking up a name."""
    answer: Future[HTTPResponse] = Future()

    def connect() -> None:
        try:
            answer.set_result(urllib.request.urlopen(url, timeout=CONNECT_SECONDS))
        except (OSError, HTTPException) as error:
            answer.set_exception(error)

    threading.Thread(target=connect, daemon=True).start()
    return answer.result(CONNECT_SECONDS)


def _reason(error: Exception) -> str:
    """Describe briefly why an address did not answer."""
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_SECONDS:g} s"
    return str(getattr(error, "reason", "") or error) or type(error).__name__


def _client_error(output: str) -> str:
    """Find the reason in a client's output: npm prints it first, pip last."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("npm error ", "npm ERR! "))]
    return "; ".join(line[9:].strip() for line in errors[:2]) if errors else "".join(lines[-1:])

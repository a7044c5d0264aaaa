"""Read results from git: commits, `dvc exp` experiments and the files in them.

The project may be a subfolder of a larger repository (`dvc init --subdir`).
"""

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

from rakuten.tracking.snapshots import Snapshot


class GitError(RuntimeError):
    """Git is missing or refuses a command; the message is git's."""


@dataclass(frozen=True)
class Commit(Snapshot):
    """The project's files in one commit.

    Attributes:
        repository: Where the commit is.
        commit: Its full hash.
        experiment: The name of the `dvc exp` experiment, "" for other commits.
        baseline: The commit that the experiment started from, "" for other commits.
    """

    repository: "Repository" = field(repr=False)
    commit: str
    experiment: str = ""
    baseline: str = ""

    def read(self, path: str) -> bytes | None:
        """Read a file, None if it does not exist in this commit."""
        return self.repository.read(self.commit, path)

    def files(self, folder: str) -> dict[str, str]:
        """List the files below a folder, with the hashes of their contents."""
        return {p: h for p, h in self._reports.items() if p.startswith(f"{folder}/")}

    @cached_property
    def _reports(self) -> dict[str, str]:
        return self.repository.files(self.commit, "reports")


class Repository:
    """Git's view of the project, read through one `git cat-file` process.

    Args:
        root: The project's folder: the repository, or a folder in it.

    Raises:
        GitError: If git is not installed, or refuses to read the folder.
    """

    def __init__(self, root: Path):
        self.root = root
        self._prefix = self.run("rev-parse", "--show-prefix").decode().removesuffix("\n")
        self._reader: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process that reads files."""
        if self._reader is not None:
            with contextlib.suppress(BrokenPipeError):
                cast(IO[bytes], self._reader.stdin).close()
            cast(IO[bytes], self._reader.stdout).close()
            self._reader.wait()
            self._reader = None

    def run(self, *arguments: str, accepted: tuple[int, ...] = (0,)) -> bytes:
        """Run a git command in the project's folder.

        Args:
            arguments: The command and its arguments.
            accepted: Exit statuses that count as success.

        Returns:
            Its standard output.

        Raises:
            GitError: If git is not installed or the command fails.
        """
        try:
            done = subprocess.run(
                ["git", "-c", "log.showSignature=false", *arguments],
                cwd=self.root,
                capture_output=True,
                check=False,
            )
        except FileNotFoundError as error:
            raise GitError(f"git cannot be run: {error}") from error
        if done.returncode not in accepted:
            words = done.stderr.decode(errors="replace").strip()
            raise GitError(words or f"git {arguments[0]} failed with status {done.returncode}")
        return done.stdout

    def head(self) -> str:
        """Return the checked-out commit, "" before the first one."""
        return (
            self.run("rev-parse", "--verify", "--quiet", "HEAD", accepted=(0, 1)).decode().strip()
        )

    def read(self, commit: str, path: str) -> bytes | None:
        """Read a file of a commit, None if it does not exist.

        Raises:
            GitError: If git cannot read it.
        """
        if self._reader is None:
            self._reader = subprocess.Popen(
                ["git", "cat-file", "--batch"],
                cwd=self.root,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        request, answer = cast(IO[bytes], self._reader.stdin), cast(IO[bytes], self._reader.stdout)
        request.write(f"{commit}:{self._prefix}{path}\n".encode())
        request.flush()
        header = answer.readline()
        if header.endswith(b" missing\n"):
            return None
        fields = header.split()
        if len(fields) != 3 or not fields[2].isdigit():
            raise GitError(f"git cat-file gave {header!r} for {path} of {commit}")
        content = answer.read(int(fields[2]))
        answer.read(1)  # the line end after the content
        return content if fields[1] == b"blob" else None

    def files(self, commit: str, folder: str) -> dict[str, str]:
        """List the files below a folder of a commit.

        Returns:
            The hash of each file's content by its path, relative to the project, sorted.
        """
        listed = self.run("ls-tree", "-r", "-z", commit, f"{folder}/").decode()
        entries = [entry.partition("\t") for entry in listed.split("\0") if entry]
        return {path: details.split()[2] for details, _, path in sorted(entries, key=itemgetter(2))}

    def snapshot(self, commit: str) -> Commit:
        """Return a commit with its time."""
        time = self.run("show", "--no-patch", "--format=%cI", commit).decode().split()[-1]
        return Commit(self.root, self, commit, time=_seconds(time))

    def commits(self) -> Iterator[Commit]:
        """Iterate over the commits of all branches and tags that changed results, newest first."""
        if not self.head():
            return
        log = self.run(
            "log", "--branches", "--tags", "--remotes", "HEAD", "--full-history",
            "--format=%H %cI", "--", "dvc.lock", "reports",
        )  # fmt: skip
        for line in log.decode().splitlines():
            commit, time = line.split()
            yield Commit(self.root, self, commit, time=_seconds(time))

    def experiments(self, baseline: str = "") -> Iterator[Commit]:
        """Iterate over the finished `dvc exp` experiments, newest first.

        Args:
            baseline: The commit from which they started; any if empty.
        """
        references = self.run(
            "for-each-ref", "--sort=-committerdate",
            "--format=%(objectname) %(committerdate:iso-strict) %(refname)", "refs/exps",
        )  # fmt: skip
        for line in references.decode().splitlines():
            commit, time, reference = line.split()
            parts = reference.split("/")  # refs/exps/<2 digits>/<38 digits>/<name>
            if len(parts) == 5 and len(parts[2]) == 2:
                start = parts[2] + parts[3]
                if baseline in ("", start):
                    yield Commit(self.root, self, commit, parts[4], start, time=_seconds(time))


def head(root: Path) -> str:
    """Return the checked-out commit, "" if there is none or git fails: it only labels runs."""
    try:
        return Repository(root).head()
    except GitError:
        return ""


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()

"""End a program together with the processes that it started."""

import contextlib
import os
import signal
import subprocess


def end_session(process: subprocess.Popen, first: signal.Signals, timeout: float) -> None:
    """End all processes of a session, and kill those that remain.

    Args:
        process: The session's first process, started with `start_new_session`.
        first: The signal that asks them to end.
        timeout: Seconds that the first process may take to end.
    """
    for number in (first, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout)

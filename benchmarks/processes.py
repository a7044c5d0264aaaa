"""Run a command and measure its time, processor time and memory, all its children included."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

import psutil

INTERVAL = 0.2
"""Seconds between two readings of the memory of a command."""

STOP = 10.0
"""Seconds that processes have to end before they are killed."""


class Usage(NamedTuple):
    """What a command used.

    Attributes:
        seconds: Wall-clock time.
        peak: Most bytes in use at once, of all processes; memory that processes share counts once.
        cpu: Processor seconds of all processes, user and system.
    """

    seconds: float
    peak: int
    cpu: float


def run(
    command: Sequence[str],
    folder: Path,
    log: BinaryIO,
    *,
    environment: Mapping[str, str] | None = None,
    report: Callable[[int, Usage], None] | None = None,
) -> tuple[int, Usage]:
    """Run a command; if this process is interrupted, end the command and its children.

    Args:
        command: Program and arguments.
        folder: Where to run it.
        log: Receives what it prints.
        environment: Variables in addition to those of this process.
        report: Called after the start, and with each reading of the memory, with the command's
            process id and its usage so far.

    Returns:
        The exit status and the usage.
    """
    start = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, stdout=log, stderr=log, env={**os.environ, **(environment or {})}
    )
    peak, cpu = 0, 0.0
    try:
        while True:
            memory, spent = usage_of(process.pid)
            peak, cpu = max(peak, memory), max(cpu, spent)
            if report:
                report(process.pid, Usage(time.perf_counter() - start, peak, cpu))
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(INTERVAL)
                return code, Usage(time.perf_counter() - start, peak, cpu)
    except BaseException:
        stop(process.pid)
        process.wait()
        raise


def stop(pid: int) -> None:
    """End a process and its children; those that do not end in `STOP` seconds are killed."""
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        family = [*parent.children(recursive=True), parent]
        for end in (psutil.Process.terminate, psutil.Process.kill):
            for process in family:
                with suppress(psutil.NoSuchProcess):
                    end(process)
            family = psutil.wait_procs(family, timeout=STOP)[1]


def usage_of(pid: int) -> tuple[int, float]:
    """Read what a process and its children use.

    Returns:
        Bytes in use, memory that processes share counted once; processor seconds, those of dead
        children included.
    """
    memory, cpu = 0, 0.0
    with suppress(psutil.Error):
        for process in (parent := psutil.Process(pid), *parent.children(recursive=True)):
            with suppress(psutil.Error):
                full = process.memory_full_info()
                memory += getattr(full, "pss", full.uss)  # only Linux has the first
                cpu += sum(process.cpu_times()[:4])  # of its dead children too
    return memory, cpu

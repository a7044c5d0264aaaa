"""Suggest a faster precision that the processor supports."""

from collections.abc import Collection
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
"""Where Linux lists the instruction sets of the processor."""

FASTER = (
    ("bfloat16", {"amx_bf16"}, "four"),
    ("int8", {"avx512_vnni", "avx_vnni"}, "three"),
    ("bfloat16", {"avx512_bf16"}, "two"),
)
"""A precision, instruction sets of which one suffices, and how many times as fast VGG16 is."""


def instruction_sets(path: Path = CPUINFO) -> frozenset[str]:
    """Read the processor's instruction sets by the names of Linux; none on other systems."""
    if not path.exists():
        return frozenset()
    lines = path.read_text().splitlines()
    listed = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(listed.partition(":")[2].split())


def hint(precision: str, supported: Collection[str], available: Collection[str]) -> str:
    """Suggest a faster precision than float32.

    Args:
        precision: The one that is set.
        supported: Those that the network has.
        available: Instruction sets of the processor, as `instruction_sets` returns them.

    Returns:
        A sentence, or "" if another precision is set or none is several times as fast.
    """
    if precision != "float32":
        return ""
    for faster, sets, times in FASTER:
        if faster in supported and sets & set(available):
            return f"extract.precision={faster} is about {times} times as fast on this processor"
    return ""

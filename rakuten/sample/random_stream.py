"""Fast reproducible random values for the synthetic catalogue: one stream per key.

A product needs several hundred values. Drawn in blocks from a counter-based Philox generator they
cost a tenth of single calls, and they are the same on every platform.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

BLOCK = 512


class RandomStream:
    """A stream of random values that depends only on its integer key."""

    def __init__(self, *key: int):
        self.generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))
        self._values: list[float] = []
        self._next = 0

    def unit(self) -> float:
        """Draw a float from [0, 1)."""
        if self._next == len(self._values):
            self._values = self.generator.random(BLOCK).tolist()
            self._next = 0
        self._next += 1
        return self._values[self._next - 1]

    def chance(self, probability: float) -> bool:
        """Draw True with the given probability."""
        return self.unit() < probability

    def between(self, low: float, high: float) -> float:
        """Draw a float from [low, high)."""
        return low + (high - low) * self.unit()

    def integer(self, low: int, high: int) -> int:
        """Draw an integer from low..high, both included."""
        return low + int((high - low + 1) * self.unit())

    def spread(self, width: float) -> float:
        """Draw from a bell curve around 0 with a standard deviation (a sum of four uniforms)."""
        return (self.unit() + self.unit() + self.unit() + self.unit() - 2.0) * width * 1.732

    def pick(self, items: Sequence[Any], skew: float = 1.0) -> Any:
        """Draw one item; a skew above 1 favours those at the front."""
        return items[int(len(items) * self.unit() ** skew)]

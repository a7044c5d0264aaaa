"""The values that the parameters of params.yaml can have.

params.yaml describes reasonable ranges; these are the hard limits, beyond which a stage cannot run.
They are checked when a stage starts, so that it does not fail an hour later, or in a library that
does not know the parameter's name. Choices such as the backbone are checked where they are used.
"""

import math
from collections.abc import Iterator
from fnmatch import fnmatch
from typing import Any, NamedTuple


class Interval(NamedTuple):
    """Numbers between two limits.

    Attributes:
        low: Lower limit.
        high: Upper limit.
        brackets: "[]" with both limits, "()" without; also "[)" and "(]".
        whole: Whether only integers are accepted.
    """

    low: float
    high: float = math.inf
    brackets: str = "[)"
    whole: bool = False

    def __contains__(self, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        above = value >= self.low if self.brackets[0] == "[" else value > self.low
        return above and (value <= self.high if self.brackets[1] == "]" else value < self.high)

    def __str__(self) -> str:
        kind = "an integer" if self.whole else "a number"
        if self.high == math.inf:
            return f"{kind} {'of at least' if self.brackets[0] == '[' else 'above'} {self.low}"
        return f"{kind} in {self.brackets[0]}{self.low}, {self.high}{self.brackets[1]}"


class Choice(tuple):
    """A fixed set of accepted values."""

    def __contains__(self, value: Any) -> bool:
        return any(value is one or (value == one and isinstance(value, str)) for one in self)

    def __str__(self) -> str:
        return " or ".join(str(one).lower() for one in self)


SWITCH = Choice((True, False))
COUNT = Interval(1, whole=True)
SHARE = Interval(0, 1)
POSITIVE = Interval(0, brackets="()")
NOT_NEGATIVE = Interval(0)

LIMITS: dict[str, Interval | Choice] = {
    "seed": Interval(0, 2**32 - 1, "[]", whole=True),
    "threads": COUNT,
    "clean.min_token_length": COUNT,
    "clean.lemmatize": SWITCH,
    "clean.remove_stopwords": SWITCH,
    "split.*_share": SHARE,
    "split.keep_duplicates_together": SWITCH,
    "explore.*": COUNT,
    "vectorize.max_features": COUNT,
    "vectorize.min_df": COUNT,
    "vectorize.max_df": Interval(0, 1, "(]"),
    "vectorize.ngram_max": COUNT,
    "vectorize.sublinear_tf": SWITCH,
    "extract.size": Interval(32, whole=True),
    "*.crop_borders": SWITCH,
    "*.border_tolerance": Interval(0, 255, "[]", whole=True),
    "extract.batch_size": COUNT,
    "*.scaling": Choice(("none", "sqrt_l2")),
    "*.hidden_units": COUNT,
    "*dropout": SHARE,
    "fusion.norm_momentum": SHARE,
    "*.training.learning_rate": POSITIVE,
    "*.training.batch_size": COUNT,
    "*.training.epochs": COUNT,
    "*.training.patience": Interval(0, whole=True),
    "*.training.class_weights": Choice(("none", "balanced")),
    "image.baselines.trees": COUNT,
    "*_c": POSITIVE,
    "*_alpha": POSITIVE,
    "*.bias_l2": POSITIVE,
    "text_ensemble.*_ngrams": COUNT,
    "text_ensemble.min_df": COUNT,
    "text_ensemble.max_terms": COUNT,
    "text_ensemble.vector_scale": POSITIVE,
    "text_ensemble.correction_l2": POSITIVE,
    "*.landmarks": COUNT,
    "*.folds": Interval(2, whole=True),
    "*.augmented_copies": Interval(0, whole=True),
    "image_ensemble.average": NOT_NEGATIVE,
    "image_ensemble.middle": NOT_NEGATIVE,
    "image_ensemble.frame": NOT_NEGATIVE,
    "refit.rows": Choice(("all", "train")),
    "evaluate.resamples": COUNT,
    "evaluate.confidence": Interval(0, 1, "()"),
    "audit.text_similarity": Interval(0, 1, "(]"),
    "audit.hash_distance": Interval(0, 64, "[]", whole=True),
    "audit.min_structure": Interval(0, 32, "[]", whole=True),
    "robust_*.products": COUNT,
    "robust_text.train_products": COUNT,
    "drift.psi": POSITIVE,
    "drift.missing": SHARE,
    "drift.alpha": Interval(0, 1, "()"),
}
"""Limits by the name of the parameter; * stands for any characters."""

SECTIONS = (
    *("clean", "split", "explore", "vectorize", "encode_text", "encode_image", "extract"),
    *("text", "image", "fusion", "text_ensemble", "image_ensemble", "late_fusion", "refit"),
    *("evaluate", "audit", "robust_text", "robust_image", "drift"),
    *("*.training", "*.baselines", "*.out_of_fold", "fusion.start"),
)
"""Names that hold other parameters; * stands for any characters."""


def check(name: str, value: Any, path: str) -> None:
    """Refuse a parameter that has an impossible value.

    Args:
        name: Its name, such as "text.dropout", or that of a section.
        value: Its value, or the section's values by name.
        path: The file that it was read from, for the message.

    Raises:
        ValueError: If a value is outside its limits, or a section is a single value or empty; the
            message names the parameter.
    """
    for parameter, received in _entries(name, value):
        limits = (known for key, known in LIMITS.items() if fnmatch(parameter, key))
        expected: Any = next(limits, None)
        wrong = expected is not None and received not in expected
        if any(fnmatch(parameter, section) for section in SECTIONS):
            expected = "a section of several parameters"
            wrong = not (isinstance(received, dict) and received)
        if wrong:
            raise ValueError(
                f"{parameter} is {received!r}: expected {expected}; correct it in {path}, or in "
                "the experiment's -S"
            )


def _entries(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """List an entry and everything below it by their full names."""
    yield name, value
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _entries(f"{name}.{key}", below)

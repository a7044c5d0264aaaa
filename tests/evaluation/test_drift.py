"""Drift: found where a measurement changed, and not where it did not."""

import json

import numpy as np
import pandas as pd
import pytest

from rakuten.categories import CODES
from rakuten.evaluation import drift

LIMITS = {"psi": 0.2, "missing": 0.5, "alpha": 0.01}
SHARES = np.arange(1, 28) / np.arange(1, 28).sum()


def catalogue(count, seed):
    """Measurements of products, all with the same distributions."""
    draws = np.random.default_rng(seed)
    described = draws.random(count) < 0.65
    lengths = draws.lognormal(6, 1, count).astype(np.float32)
    return pd.DataFrame(
        {
            "category": draws.choice(np.array(CODES, np.float32), count, p=SHARES),
            "confidence": draws.beta(5, 1, count).astype(np.float32),
            "language": draws.choice(["fr", "en", "de", "it"], count, p=[0.8, 0.15, 0.045, 0.005]),
            "missing_title": False,
            "missing_description": ~described,
            "missing_image": draws.random(count) < 0.02,
            "title_length": draws.integers(20, 120, count).astype(np.float32),
            "description_length": np.where(described, lengths, np.float32(np.nan)),
            "unknown_terms": draws.beta(2, 8, count).astype(np.float32),
            "border_share": np.where(draws.random(count) < 0.3, 0, draws.random(count)),
            "brightness": draws.normal(160, 40, count).astype(np.float32),
            "colour": draws.exponential(20, count).astype(np.float32),
        }
    )


REFERENCE = catalogue(3000, 0)


def drifted(new, reference=REFERENCE, **limits):
    return [one.name for one in drift.compare(reference, new, **LIMITS | limits) if one.drift]


@pytest.mark.parametrize("count", [50, 500])
def test_products_like_the_reference_raise_no_alarm(count):
    assert [drifted(catalogue(count, seed)) for seed in range(1, 21)] == [[]] * 20


def test_few_products_with_rare_languages_raise_no_more_alarms_than_alpha():
    names, shares = list("abcdefgh"), [0.8, 0.08, 0.04, 0.02, 0.02, 0.015, 0.015, 0.01]
    draws = np.random.default_rng(0)
    reference, *news = (
        pd.DataFrame({"language": draws.choice(names, count, p=shares)})
        for count in [3000] + 500 * [10]
    )
    assert sum(len(drifted(new, reference)) for new in news) <= 500 * LIMITS["alpha"]


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("category", lambda new: new.assign(category=np.float32(10))),
        ("confidence", lambda new: new.assign(confidence=new["confidence"] - 0.2)),
        ("language", lambda new: new.assign(language="en")),
        ("missing_title", lambda new: new.assign(missing_title=new.index % 20 == 0)),
        ("missing_description", lambda new: new.assign(missing_description=True)),
        ("missing_image", lambda new: new.assign(missing_image=new.index % 5 == 0)),
        ("title_length", lambda new: new.assign(title_length=new["title_length"] / 2)),
        ("description_length", lambda new: new.assign(description_length=np.float32(100))),
        ("unknown_terms", lambda new: new.assign(unknown_terms=new["unknown_terms"] * 2)),
        ("border_share", lambda new: new.assign(border_share=0.0)),
        ("brightness", lambda new: new.assign(brightness=new["brightness"] - 40)),
        ("colour", lambda new: new.assign(colour=np.float32(0))),
    ],
)
def test_a_changed_measurement_is_found_and_no_other(name, changed):
    assert drifted(changed(catalogue(500, 1))) == [name]


def test_a_missing_category_is_found_and_named_though_the_index_is_small():
    new = catalogue(2000, 1)
    new = new[new["category"] != CODES[10]]
    (one,) = [c for c in drift.compare(REFERENCE, new, **LIMITS) if c.drift]
    assert (one.name, one.missing) == ("category", (str(CODES[10]),))
    assert drifted(new, missing=0.0) == []
    assert drifted(new.sample(40, random_state=0)) == []  # too few to know


def test_a_constant_measurement_may_move_either_way():
    constant = REFERENCE.assign(title_length=np.float32(50))
    for length in (49, 51):
        new = catalogue(500, 1).assign(title_length=np.float32(length))
        assert drifted(new, constant) == ["title_length"]
    assert drifted(catalogue(500, 1).assign(title_length=np.float32(50)), constant) == []


def test_a_looser_limit_raises_no_alarm():
    new = catalogue(500, 1).assign(language="en")
    assert drifted(new, psi=100) == []
    assert drifted(new.head(8), alpha=1e-9) == []


def test_the_index_is_the_textbook_sum_less_its_mean_by_chance():
    reference, new = np.array([100, 300, 0, 600]), np.array([40, 30, 0, 30])
    p, q = (np.array([c[0], c[1], c[3]]) + 0.5 for c in (reference, new))
    p, q = p / p.sum(), q / q.sum()
    expected = sum((b - a) * np.log(b / a) for a, b in zip(p, q, strict=True))
    expected -= 2 * (1 / 1000 + 1 / 100)
    assert drift.stability_index(reference, new) == pytest.approx(expected)
    assert drift.stability_index(reference, reference) == 0


def test_the_index_of_equal_distributions_is_small_on_average_for_any_number_of_products():
    draws = np.random.default_rng(0)
    for count in (100, 1000):
        found = [
            drift.stability_index(
                draws.multinomial(count, SHARES), draws.multinomial(count, SHARES)
            )
            for _ in range(200)
        ]
        assert np.mean(found) < 26 / count / 2


def test_rare_languages_count_as_other():
    (one,) = drift.compare(REFERENCE[["language"]], catalogue(500, 1)[["language"]], **LIMITS)
    assert one.bins == ("fr", "en", "de", "other")
    np.testing.assert_allclose(one.shares.sum(axis=1), 1)
    assert one.typical == ("fr", "fr")


def test_what_no_product_has_or_was_not_measured_is_left_out():
    new = catalogue(100, 1).drop(columns="colour").assign(brightness=np.float32(np.nan))
    names = [one.name for one in drift.compare(REFERENCE, new, **LIMITS)]
    assert names == [name for name in drift.MEASURES if name not in ("brightness", "colour")]


def test_a_comparison_is_written_as_json():
    new = catalogue(500, 1).assign(missing_description=True)
    found = {one.name: one.to_json() for one in drift.compare(REFERENCE, new, **LIMITS)}
    one = json.loads(json.dumps(found))["missing_description"]
    assert (one["title"], one["kind"], one["drift"]) == ("description missing", "flag", True)
    assert (one["new"], one["new_products"], one["reference_products"]) == (1.0, 500, 3000)
    assert [bin["new"] for bin in one["bins"]] == [0, 1]


def test_bins_of_nearly_equal_numbers_have_distinct_names():
    confidence = 1 - np.logspace(-9, -1, 200)
    (found,) = drift.compare(
        pd.DataFrame({"confidence": confidence}),
        pd.DataFrame({"confidence": confidence[:100]}),
        psi=0.2, missing=0.5, alpha=0.01,
    )  # fmt: skip
    assert len(set(found.bins)) == len(found.bins)

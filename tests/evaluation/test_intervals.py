"""Bootstrap intervals against naive ones and known widths."""

import math

import numpy as np
import pytest
from evaluation_cases import one_hot, random_problem, rows_of
from scipy import stats

from rakuten import model_names
from rakuten.evaluation import intervals, metrics


def test_bootstrap_equals_measuring_the_drawn_groups(monkeypatch):
    """Draw by draw, across several chunks, and without each group."""
    labels, scores = random_problem(rows=40)
    groups = np.random.default_rng(1).permutation(40) // 3 * 10  # 13 of three products, one of one
    monkeypatch.setattr(intervals, "CHUNK", 3 * 14)
    found = intervals.bootstrap(labels, scores, groups, resamples=7, seed=5)
    generator = np.random.default_rng(5)
    drawn = [generator.integers(0, 14, size=14) for _ in range(7)]

    def measured(chosen):
        rows = np.concatenate([np.flatnonzero(groups == 10 * number) for number in chosen])
        figures = metrics.measure(labels[rows], scores[rows])
        return pytest.approx([figures[name] for name in intervals.INTERVAL_METRICS], abs=1e-6)

    assert list(found) == list(intervals.INTERVAL_METRICS)
    assert [one.value for one in found.values()] == measured(range(14))
    for number, chosen in enumerate(drawn):
        assert [one.replicates[number] for one in found.values()] == measured(chosen)
    for left_out in range(14):
        others = np.delete(np.arange(14), left_out)
        assert [one.jackknife[left_out] for one in found.values()] == measured(others)


def test_bootstrap_repeats_itself_for_the_same_seed_only():
    labels, scores = random_problem()
    groups = np.arange(len(labels))
    first, again, other = (
        intervals.bootstrap(labels, scores, groups, resamples=20, seed=seed)["accuracy"].replicates
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_interval_equals_that_of_scipy(confidence):
    sample = np.random.default_rng(0).exponential(size=40)
    scipys = stats.bootstrap(
        (sample,), np.var, confidence_level=confidence, n_resamples=999, method="BCa",
        rng=np.random.default_rng(1),
    )  # fmt: skip
    jackknife = np.array([np.var(np.delete(sample, row)) for row in range(40)])
    ours = intervals.Resampled(np.var(sample), scipys.bootstrap_distribution, jackknife)
    assert ours.interval(confidence) == pytest.approx(scipys.confidence_interval, abs=1e-9)


@pytest.mark.slow
def test_the_interval_of_macro_f1_covers_the_true_value():
    """10 products in each of 27 categories on average; in 1,500 draws 94 % against 87 %."""
    generator = np.random.default_rng(0)
    recall = generator.uniform(0.5, 0.9, 27)
    wrongly = ((1 - recall).sum() - (1 - recall)) / 26  # predicted as each category
    truth = np.mean(2 * recall / (1 + recall + wrongly))
    covered, by_percentiles = [], []
    for seed in range(250):
        labels = generator.integers(0, 27, 270)
        right = generator.random(270) < recall[labels]
        other = (labels + generator.integers(1, 27, 270)) % 27
        scores = one_hot(np.where(right, labels, other))
        found = intervals.bootstrap(labels, scores, np.arange(270), resamples=300, seed=seed)
        low, high = found["macro_f1"].interval(0.95)
        covered.append(low <= truth <= high)
        low, high = np.quantile(found["macro_f1"].replicates, [0.025, 0.975])
        by_percentiles.append(low <= truth <= high)
    assert np.mean(covered) > 0.9
    assert np.mean(covered) > np.mean(by_percentiles) + 0.02


def test_duplicates_widen_the_interval():
    """Four duplicates of each product say no more than one."""
    labels, scores = random_problem(rows=100)
    widths = []
    for copies, ids in ((1, np.arange(100)), (4, np.arange(100)), (4, np.arange(400))):
        rows = rows_of(np.tile(labels, copies)).assign(group=np.resize(ids, 100 * copies))
        table = intervals.interval_table(
            rows, {"text": np.tile(scores, (copies, 1))}, resamples=300, confidence=0.95, seed=0
        )
        widths.append((table["high"] - table["low"]).to_numpy())
    np.testing.assert_allclose(widths[0], widths[1], atol=2e-6)
    assert (widths[1] > 1.6 * widths[2]).all()


def test_without_variation_the_interval_is_the_value():
    scores = one_hot([0, 1, 2])
    found = intervals.bootstrap(np.arange(3), scores, np.arange(3), resamples=50, seed=0)
    assert found["accuracy"].interval(0.95) == (1, 1)
    assert (found["macro_f1"] - found["macro_f1"]).interval(0.95) == (0, 0)
    single = intervals.bootstrap(np.array([4]), one_hot([4]), np.array([0]), resamples=9, seed=0)
    assert single["weighted_f1"].interval(0.9) == (1, 1)


def test_intervals_cover_the_value_and_narrow_with_more_products():
    widths = {}
    for rows in (100, 1600):
        labels, scores = random_problem(rows=rows)
        table = intervals.interval_table(
            rows_of(labels), {"text": scores}, resamples=300, confidence=0.95, seed=0
        )
        assert table["metric"].tolist() == list(intervals.INTERVAL_METRICS)
        assert table["rows_of"].unique().tolist() == ["scored"]
        assert (table["low"] <= table["value"]).all()
        assert (table["value"] <= table["high"]).all()
        widths[rows] = (table["high"] - table["low"]).iloc[0]
    assert widths[1600] == pytest.approx(widths[100] / 4, rel=0.35)


def test_interval_of_accuracy_is_as_wide_as_the_binomial_says():
    labels = np.zeros(400, int)
    scores = one_hot([0] * 300 + [1] * 100)
    table = intervals.interval_table(
        rows_of(labels), {"text": scores}, resamples=4000, confidence=0.95, seed=0
    ).set_index("metric")
    half = 1.96 * math.sqrt(0.75 * 0.25 / 400)
    assert table.loc["accuracy", ["low", "high"]].tolist() == pytest.approx(
        [0.75 - half, 0.75 + half], abs=0.005
    )


def test_differences_are_paired_and_on_common_products():
    labels, text = random_problem(rows=300, seed=3)
    fusion = text.copy()
    fusion[:30] = one_hot(labels[:30])  # right on 30 more products at most, wrong on none
    text[290:] = np.nan
    table = intervals.interval_table(
        rows_of(labels), {"text": text, "fusion": fusion}, resamples=500, confidence=0.95, seed=0
    )
    lead = table[(table["minus"] == "text") & (table["metric"] == "accuracy")].iloc[0]
    assert lead["rows_of"] == "scored by both"
    alone = table[(table["model"] == "text") & (table["metric"] == "accuracy")].iloc[0]
    assert lead["rows"] == 290
    assert 0 < lead["low"] < lead["value"] < lead["high"]
    assert lead["high"] - lead["low"] < 0.7 * (alone["high"] - alone["low"])
    assert "image" not in set(table["minus"])


def fused_problem():
    """Text is wrong and fusion right on products without image: fusion's gain is overstated."""
    labels, text = random_problem(rows=60, seed=4)
    modality = np.repeat(["both", "text only", "image only"], 20)
    fusion = text.copy()
    text[20:40] = one_hot((labels[20:40] + 1) % 9)
    fusion[20:40] = one_hot(labels[20:40])
    text[40:] = np.nan
    return rows_of(labels, modality), {"text_ensemble": text, "late_fusion": fusion}


def test_a_fusion_model_is_also_compared_on_products_with_both_modalities():
    rows, scores = fused_problem()
    table = intervals.interval_table(rows, scores, resamples=50, confidence=0.9, seed=0)
    leads = table[table["minus"].eq("text_ensemble") & table["metric"].eq("accuracy")]
    assert leads["rows_of"].tolist() == ["scored by both", "both modalities"]
    assert leads["rows"].tolist() == [40, 20]
    own = {m: metrics.measure(rows["label"].to_numpy()[:20], s[:20]) for m, s in scores.items()}
    gain = own["late_fusion"]["accuracy"] - own["text_ensemble"]["accuracy"]
    assert leads["value"].tolist()[1] == pytest.approx(gain, abs=1e-6)
    assert leads["value"].tolist()[0] >= 0.5
    no_image = rows.assign(modality="text only")
    table = intervals.interval_table(no_image, scores, resamples=5, confidence=0.9, seed=0)
    assert "both modalities" not in set(table["rows_of"])


def test_differences_are_measured_on_the_draws_of_each_set_of_rows():
    """The resamples of one set of rows are not reused for another set of the same models."""
    rows, scores = fused_problem()
    settings = {"resamples": 50, "confidence": 0.9, "seed": 3}
    table = intervals.interval_table(rows, scores, **settings)
    both = rows["modality"].eq("both").to_numpy()
    alone = intervals.interval_table(
        rows[both], {m: s[both] for m, s in scores.items()}, **settings
    )
    columns = ["metric", "value", "low", "high", "rows"]
    whole, part = (t[t["rows_of"].eq("both modalities")][columns] for t in (table, alone))
    assert whole.values.tolist() == part.values.tolist()


def test_every_pair_is_of_models_in_use():
    _, scores = random_problem(rows=30)
    labels = np.arange(30) % 9
    models = dict.fromkeys(model_names.MAIN, scores)
    table = intervals.interval_table(rows_of(labels), models, resamples=3, confidence=0.9, seed=0)
    compared = table[table["minus"].ne("")][["model", "minus"]].drop_duplicates()
    assert compared.values.tolist() == [list(pair) for pair in intervals.PAIRS]
    twice = table[table["rows_of"].eq("both modalities")]
    assert set(twice["model"] + " " + twice["minus"]) == {
        "fusion text", "fusion image", "late_fusion text_ensemble", "late_fusion image_ensemble",
    }  # fmt: skip


def test_intervals_skip_what_cannot_be_measured():
    labels, scores = random_problem()
    models = {"text_linear_svm": np.log(scores), "image": np.full((80, 27), np.nan)}
    table = intervals.interval_table(rows_of(labels), models, resamples=10, confidence=0.9, seed=0)
    assert table[["model", "metric"]].values.tolist() == [
        ["text_linear_svm", metric] for metric in ("accuracy", "weighted_f1", "macro_f1")
    ]

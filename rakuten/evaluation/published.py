"""Metrics that the original study published, shown for comparison with ours.

Source: the study's report on the challenge's 84,916 training rows. Accuracies of the image net as
printed; those of the text and fusion nets summed from its confusion matrices. In the fusion matrix
the second row "10" is garbled (469 products instead of 623). With the intact row, 13,914 of
16,984 products are correct.
"""

PUBLISHED: dict[str, dict[str, dict[str, float]]] = {
    "text": {"test": {"accuracy": 0.772}},
    "image": {"train": {"accuracy": 0.757}, "test": {"accuracy": 0.593}},
    "fusion": {"test": {"accuracy": 0.819}},
}
"""Published metrics, model -> part -> metric, in the shape of `reports/evaluate/models.json`."""

TEST_ROWS = 16_984
"""Rows of the study's test part: 20 %, stratified."""

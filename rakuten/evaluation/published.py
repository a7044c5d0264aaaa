"""Figures that the original study published, shown for comparison with ours.

Source: the study's report on the challenge's 84,916 training rows. Accuracies of the image net as
printed; those of the text and fusion nets summed from its confusion matrices. In the fusion matrix
the row "10" is printed twice, and the second one is garbled (469 products instead of 623). With
the intact row, 13,914 of 16,984 products are correct.
"""

import pandas as pd

PUBLISHED: dict[str, dict[str, dict[str, float]]] = {
    "text": {"test": {"accuracy": 0.772}},
    "image": {"train": {"accuracy": 0.757}, "test": {"accuracy": 0.593}},
    "fusion": {"test": {"accuracy": 0.819}},
}
"""Published metrics, model -> part -> metric, in the shape of `reports/evaluate/models.json`."""

CORRECT: dict[int, tuple[int, int, int, int]] = {
    10: (623, 304, 238, 381),
    40: (502, 285, 296, 372),
    50: (336, 247, 111, 264),
    60: (166, 141, 112, 144),
    1140: (534, 413, 327, 444),
    1160: (791, 628, 712, 744),
    1180: (153, 50, 45, 73),
    1280: (974, 681, 415, 663),
    1281: (414, 187, 82, 208),
    1300: (1009, 897, 739, 944),
    1301: (161, 138, 83, 134),
    1302: (498, 380, 202, 377),
    1320: (648, 474, 271, 520),
    1560: (1015, 828, 556, 839),
    1920: (861, 786, 662, 785),
    1940: (161, 123, 97, 138),
    2060: (999, 805, 490, 791),
    2220: (165, 126, 35, 125),
    2280: (952, 625, 700, 780),
    2403: (955, 660, 559, 748),
    2462: (284, 200, 134, 204),
    2522: (998, 884, 674, 896),
    2582: (518, 354, 149, 348),
    2583: (2042, 1982, 1756, 1984),
    2585: (499, 393, 176, 395),
    2705: (552, 347, 378, 440),
    2905: (174, 171, 72, 173),
}
"""Per `prdtypecode`: test products, and how many of them the text, image and fusion net classify
correctly. From the study's confusion matrices, with the intact row "10"."""

TEST_ROWS = sum(counts[0] for counts in CORRECT.values())
"""Rows of the study's test part: 20 %, stratified."""


def recall_table() -> pd.DataFrame:
    """Compute the published recall of each category.

    Returns:
        27 rows in the order of `categories.CODES`: `code` int64, `rows` int64 (test products),
        `text`, `image` and `fusion` float64, recall in 0..1.
    """
    table = pd.DataFrame.from_dict(CORRECT, orient="index", columns=["rows", *PUBLISHED])
    table[[*PUBLISHED]] = table[[*PUBLISHED]].div(table["rows"], axis=0)
    return table.rename_axis("code").reset_index()

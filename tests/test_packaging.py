import numpy as np

from rakuten import packaging
from rakuten.categories import CODES
from rakuten.examples import Examples


def test_the_summary_holds_what_prediction_needs():
    parts = np.array(["train", "train", "test", "train"])
    examples = Examples(np.arange(4), None, np.ones(4, bool), np.array([0, 0, 5, 26]), parts)
    certain = np.eye(27, dtype=np.float32)[[0, 0, 5, 26]]
    outputs = {
        "text": {"present": np.array([1, 0, 1, 1], bool), "probabilities": certain},
        "image": {"present": np.zeros(4, bool), "probabilities": certain},
    }
    found = packaging.summarize(
        examples, outputs, dataset={"name": "small"}, threads=2,
        settings={"encode": {"encoder": "none"}},
    )  # fmt: skip
    assert found["models"] == {"text": True, "image": False}
    assert found["test"]["text"]["accuracy"] == 1.0
    assert found["test"]["text"]["rows"] == 1
    assert found["test"]["image"]["accuracy"] is None
    assert found["categories"] == list(CODES)
    np.testing.assert_allclose([found["prior"][0], found["prior"][26]], [2 / 3, 1 / 3], rtol=1e-6)
    assert (found["dataset"], found["threads"]) == ({"name": "small"}, 2)
    assert found["encode"] == {"encoder": "none"}

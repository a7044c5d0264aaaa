import numpy as np
import pandas as pd
import pytest

from rakuten import storage
from rakuten.models import checkpoints, nets

pytestmark = pytest.mark.tensorflow

ARGUMENTS = {"scaling": "none", "hidden_units": 3, "dropout": 0.1}


def test_equal_weights_give_equal_bytes(tmp_path):
    net = nets.dense_net(4, **ARGUMENTS, seed=1)
    for folder in ("one", "two"):
        checkpoints.write(tmp_path / folder, net, **ARGUMENTS)
    for name in ("weights.npz", "model.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_training_is_written_to_build_and_reports(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = nets.dense_net(4, **ARGUMENTS, seed=1)
    curves = pd.DataFrame({"epoch": [1, 2], "train_loss": [2.0, 1.0], "validation_loss": [2.5, 3]})
    outputs = {"ids": np.arange(2)}
    report = checkpoints.write_training("text", net, ARGUMENTS, curves, outputs)
    assert report == {"parameters": net.count_params(), "epochs": 2, "best_epoch": 1}
    assert storage.read_json("reports/text/metrics.json") == report
    assert storage.read_csv("reports/text/history.csv").equals(curves)
    assert storage.read_json("build/text/model.json") == nets.describe(net, **ARGUMENTS)
    found = storage.read_arrays("build/text/weights.npz")
    assert all((found[name] == array).all() for name, array in nets.weights(net).items())
    assert storage.read_arrays("build/text/outputs.npz")["ids"].tolist() == [0, 1]

import numpy as np
import pytest

from rakuten.models import checkpoints, nets

pytestmark = pytest.mark.tensorflow


def test_a_net_read_back_predicts_the_same(tmp_path):
    net = nets.dense_net(4, scaling="none", hidden_units=3, dropout=0.1)
    checkpoints.write(tmp_path, net, scaling="none", hidden_units=3, dropout=0.1)
    features = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)
    np.testing.assert_array_equal(
        checkpoints.read(tmp_path).predict(features, verbose=0), net.predict(features, verbose=0)
    )


def test_equal_weights_give_equal_bytes(tmp_path):
    net = nets.dense_net(4, scaling="none", hidden_units=3, dropout=0.1)
    for folder in ("one", "two"):
        checkpoints.write(tmp_path / folder, net, scaling="none", hidden_units=3, dropout=0.1)
    for name in ("weights.npz", "model.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_an_incomplete_checkpoint_is_refused(tmp_path):
    net = nets.dense_net(4, scaling="none", hidden_units=3, dropout=0.1)
    checkpoints.write(tmp_path, net, scaling="none", hidden_units=3, dropout=0.1)
    (tmp_path / "weights.npz").unlink()
    with pytest.raises(FileNotFoundError, match=r"weights.npz does not exist: run 'dvc repro'"):
        checkpoints.read(tmp_path)

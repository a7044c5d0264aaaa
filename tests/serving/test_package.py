import numpy as np
import pytest
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.tree import Tree

from rakuten import storage
from rakuten.categories import CODES
from rakuten.data.examples import Examples
from rakuten.model_names import MAIN
from rakuten.serving import package, package_summary


def test_the_summary_holds_what_prediction_needs():
    parts = np.array(["train", "train", "test", "train"])
    examples = Examples(np.arange(4), None, np.ones(4, bool), np.array([0, 0, 5, 26]), parts)
    certain = np.eye(27, dtype=np.float32)[[0, 0, 5, 26]]
    outputs = {
        "text": {"present": np.array([1, 0, 1, 1], bool), "probabilities": certain},
        "image": {"present": np.zeros(4, bool), "probabilities": certain},
    }
    outputs = {name: output | {"ids": np.arange(4)} for name, output in outputs.items()}
    found = package_summary.summarize(
        examples, outputs, dataset={"name": "small"}, fitted_on={"rows": "all", "text": 3},
        threads=2, settings={"encode": {"encoder": "none"}},
    )  # fmt: skip
    assert found["models"] == {"text": True, "image": False}
    assert found["test"]["text"]["accuracy"] == 1.0
    assert found["test"]["text"]["rows"] == 1
    assert found["test"]["image"]["accuracy"] is None
    assert found["categories"] == list(CODES)
    np.testing.assert_allclose([found["prior"][0], found["prior"][26]], [2 / 3, 1 / 3], rtol=1e-6)
    assert (found["dataset"], found["threads"]) == ({"name": "small"}, 2)
    assert found["encode"] == {"encoder": "none"}
    assert found["fitted_on"] == {"rows": "all", "text": 3}
    moved = outputs | {"image": outputs["image"] | {"ids": np.arange(4)[::-1]}}
    with pytest.raises(ValueError, match="outputs for image are of other products"):
        package_summary.summarize(
            examples, moved, dataset={}, fitted_on={}, threads=2, settings={}
        )  # fmt: skip


def test_predictions_are_those_of_test_products_with_the_models_inputs():
    parts = np.array(["test", "train", "test", "test"])
    labels = np.array([3, 4, 5, 6])
    examples = Examples(np.array([2, 4, 6, 8]), None, np.ones(4, bool), labels, parts)
    certain = np.eye(27)[labels]
    output = {"present": np.array([1, 1, 0, 1], bool), "probabilities": certain}
    found = package_summary.predictions(examples, output, np.array([2, 2, 6, 6], np.int32))
    assert (found["ids"].tolist(), found["labels"].tolist()) == ([2, 8], [3, 6])
    assert found["groups"].tolist() == [2, 6]
    np.testing.assert_array_equal(found["probabilities"], certain[[0, 3]])
    kinds = {name: array.dtype.name for name, array in found.items()}
    whole = dict.fromkeys(("ids", "labels", "groups"), "int64")
    assert kinds == whole | {"probabilities": "float32"}
    assert storage.pack_arrays(**found) == storage.pack_arrays(**found)


@pytest.mark.parametrize(("summary", "count"), [({}, 0), ({"categories": [10, 40]}, 2)])
def test_a_package_for_other_categories_is_refused(tmp_path, summary, count):
    storage.write_json(tmp_path / "package.json", summary)
    with pytest.raises(package.OutdatedError, match=f"has {count} categories: expected the 27"):
        package.read_summary(tmp_path)


def test_an_outdated_package_names_the_remedies_for_folder_and_registry(tmp_path):
    storage.write_json(tmp_path / "package.json", {"categories": list(CODES)})
    message = "no backbone.*: run 'make repro'; if .* registry.*'python -m rakuten promo"
    with pytest.raises(package.OutdatedError, match=message):
        package.read_summary(tmp_path)
    storage.write_json(tmp_path / "package.json", {"categories": list(CODES), "backbone": None})
    with pytest.raises(package.OutdatedError, match="has no models"):
        package.read_summary(tmp_path)


def test_a_folder_has_the_digest_that_dvc_gives_it(tmp_path):
    tree = Tree()
    for name in ("b/é.txt", "b.txt", "a", "b/c/d"):
        storage.write_text(tmp_path / name, name)
        md5 = storage.digest(tmp_path / name)
        tree.add(tuple(name.split("/")), None, HashInfo("md5", md5))
    tree.digest()
    assert f"{package.digest(tmp_path)}.dir" == tree.hash_info.value
    with pytest.raises(FileNotFoundError, match="contains no files: run 'dvc repro'"):
        package.digest(tmp_path / "absent")


SUMMARY = {"models": dict.fromkeys(MAIN, True), "backbone": {"name": "vgg16"}}


def test_a_package_has_the_models_that_were_trained():
    assert package.models(SUMMARY) == MAIN
    untrained = SUMMARY | {"models": SUMMARY["models"] | {"image": False, "late_fusion": False}}
    assert package.models(untrained) == tuple(name for name in MAIN if name != "image")
    with pytest.raises(package.ModelError, match="no model 'image', which was not trained"):
        package.check_model("p", untrained, "image")


def test_without_vgg16_a_package_has_no_net_that_uses_images():
    other = SUMMARY | {"backbone": None}
    assert package.models(other) == ("text", "text_ensemble", "image_ensemble", "late_fusion")
    message = "no model 'fusion', because extract.backbone .* was not vgg16: choose one of text, "
    with pytest.raises(package.ModelError, match=message):
        package.check_model("p", other, "fusion")


def test_an_unknown_model_is_refused_with_those_of_the_package():
    message = "package p has no model 'bert': choose one of text, image, fusion, text_ensemble"
    with pytest.raises(package.ModelError, match=message):
        package.check_model("p", SUMMARY, "bert")

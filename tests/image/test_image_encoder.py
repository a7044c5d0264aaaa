import numpy as np
import onnx
import pytest
from encoder_cases import SIZE, entry, write_encoder

from rakuten import onnx_models, storage
from rakuten.image import encoder
from rakuten.image.encoder import EncoderSpec, ImageEncoder
from rakuten.onnx_models import EncoderError


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (5, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture
def load(tmp_path):
    def call(threads=1, **changes):
        spec = EncoderSpec.from_table("small", entry(**changes))
        path = write_encoder(tmp_path / f"{spec.layout}.onnx", layout=spec.layout)
        return ImageEncoder(path, spec, threads=threads)

    return call


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_pixels_are_normalized_and_laid_out_as_the_entry_says(load, pixels, layout):
    mean, std = [123.7, 116.3, 103.5], [58.4, 57.1, 57.4]
    found = load(layout=layout, mean=mean, std=std).encode(pixels)
    expected = (pixels.mean(axis=(1, 2)) - mean) / std
    assert found["average"].dtype == np.float16
    np.testing.assert_allclose(found["average"], expected, atol=1e-3)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_outputs_of_any_shape_become_one_vector_per_block(load, pixels, layout):
    outputs = {"average": ["mean", "double"], "middle": ["map", "tokens"]}
    network = load(layout=layout, outputs=outputs)
    assert network.widths == {"average": 6, "middle_1": 3, "middle_2": 3}
    found = network(pixels)
    mean = (pixels.mean(axis=(1, 2)) - 127) / 128
    expected = {"average": np.hstack([mean, 2 * mean]), "middle_1": mean, "middle_2": mean}
    assert list(found) == list(expected)
    for block, values in expected.items():
        np.testing.assert_allclose(found[block], values, atol=1e-3)


def test_features_depend_on_the_image_alone(load, pixels):
    network, other = load(threads=1), load(threads=3)
    found = network.encode(pixels)["average"]
    assert other.encode(pixels)["average"].tobytes() == found.tobytes()
    for row in (0, 4):
        alone = network.encode(pixels[row : row + 1])["average"]
        assert alone.tobytes() == found[row : row + 1].tobytes()
    assert network.encode(pixels[:0])["average"].shape == (0, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modality": "text"}, "has modality 'text', expected 'image'"),
        ({"layout": "hwc"}, "has layout 'hwc', expected one of nchw, nhwc"),
        ({"resize": "nearest"}, "has resize 'nearest', expected one of bilinear, bicubic"),
        ({"mean": [1, 2]}, "has 2 values of mean, expected 1 or 3"),
        ({"std": [1, 0, 1]}, "has 0 in std, expected numbers above 0"),
        ({"std": -1}, "has -1 in std, expected numbers above 0"),
        ({"size": "224"}, "has size '224', expected a number of pixels"),
        ({"outputs": {"average": []}}, "has no output 'average'"),
        ({"outputs": {"middle": "map"}}, "has other keys than expected .*'average'"),
        ({"pixels": 224}, "has other keys than expected .*'pixels'"),
        ({"outputs": {"average": "pooled"}}, "has no output pooled, expected some of mean, double"),
        ({"outputs": {"average": "infinite"}}, "has values in infinite beyond those of float16"),
    ],
)
def test_an_entry_that_does_not_fit_is_refused(load, changes, message):
    with pytest.raises(EncoderError, match=f"the encoder 'small' {message}.*: correct its entry"):
        load(**changes)


@pytest.mark.parametrize(
    ("model", "changes", "message"),
    [
        (
            {"size": 12},
            {},
            r"\['n', 3, 12, 12\], expected \[1, 3, 8, 8\] by size 8 and layout nchw",
        ),
        ({"layout": "nhwc"}, {}, r"\['n', 8, 8, 3\], expected \[1, 3, 8, 8\]"),
        ({}, {"layout": "nhwc"}, r"\['n', 3, 8, 8\], expected \[1, 8, 8, 3\]"),
    ],
)
def test_a_model_for_another_size_or_layout_is_refused(tmp_path, model, changes, message):
    path = write_encoder(tmp_path / "model.onnx", **model)
    spec = EncoderSpec.from_table("small", entry(**changes))
    with pytest.raises(EncoderError, match=f"'small' takes the shape {message}.*: correct its"):
        ImageEncoder(path, spec, threads=1)


@pytest.mark.parametrize("axes", [["n", 3, "height", "width"], [None] * 4, None])
def test_axes_of_any_length_fit(tmp_path, pixels, axes):
    model = onnx.load(write_encoder(tmp_path / "model.onnx"))
    kind = model.graph.input[0].type.tensor_type
    kind.ClearField("shape")
    if axes:
        described = onnx.helper.make_tensor_value_info("pixels", onnx.TensorProto.FLOAT, axes)
        kind.CopyFrom(described.type.tensor_type)
    onnx.save(model, tmp_path / "model.onnx")
    spec = EncoderSpec.from_table("small", entry())
    found = ImageEncoder(tmp_path / "model.onnx", spec, threads=1).encode(pixels)
    assert found["average"].shape == (5, 3)


def test_a_package_carries_the_spec_as_json(tmp_path):
    spec = EncoderSpec.from_table("small", entry(outputs={"average": "mean", "middle": ["map"]}))
    storage.write_json(tmp_path / "spec.json", spec.to_json())
    assert EncoderSpec.from_json(storage.read_json(tmp_path / "spec.json")) == spec


def test_fingerprint_changes_with_the_network_and_its_use():
    specs = [
        entry(),
        entry() | {"sha256": "1" * 64},
        entry(mean=0),
        entry(layout="nhwc"),
        entry(outputs={"average": "double"}),
        entry(outputs={"average": "mean", "middle": "map"}),
    ]
    known = {encoder.fingerprint(EncoderSpec.from_table("small", one)) for one in specs}
    assert len(known) == len(specs)
    again = encoder.fingerprint(EncoderSpec.from_table("small", entry() | {"licence": "BSD"}))
    assert again in known


def open_session(path):
    """Leave the options at their defaults."""
    return onnx_models.onnxruntime.InferenceSession(path)


def test_fingerprint_changes_with_the_options_of_the_session(monkeypatch):
    spec = EncoderSpec.from_table("small", entry())
    known = encoder.fingerprint(spec)
    monkeypatch.setattr(onnx_models, "open_session", open_session)
    assert encoder.fingerprint(spec) != known


def test_an_encoder_is_found_in_the_folder_that_resources_wrote(tmp_path):
    write_encoder(tmp_path / "small.onnx")
    index = {"small": entry() | {"file": "small.onnx"}, "gone": entry() | {"file": "gone.onnx"}}
    storage.write_json(tmp_path / onnx_models.INDEX, index)
    path, found = onnx_models.find(tmp_path, "small")
    assert path == tmp_path / "small.onnx"
    assert ImageEncoder(path, EncoderSpec.from_table("small", found), threads=1).widths
    for name in ("other", "gone"):
        with pytest.raises(FileNotFoundError, match=f"not hold the encoder '{name}': run 'dvc rep"):
            onnx_models.find(tmp_path, name)
    with pytest.raises(FileNotFoundError, match="run 'dvc repro resources'"):
        onnx_models.find(tmp_path / "nowhere", "small")

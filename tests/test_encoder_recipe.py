"""Follow docs/encoders.md with small ONNX files, in a folder with a few products."""

import hashlib
import io
import re
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
from encoder_cases import write_encoder
from PIL import Image
from repository import ROOT
from text_encoder_cases import write_text_encoder

from rakuten import storage
from rakuten.models import image_ensemble

DOCUMENT = (ROOT / "docs/encoders.md").read_text()
TITLES = ["Lampe", "Table basse", "", "Jeu de cartes"]


def recipe(title):
    """The entry and the parameters that a section of the document sets, the encoder first."""
    section = DOCUMENT.split(f"\n## {title}\n")[1].split("\n## ")[0]
    (entry,) = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    (command,) = re.findall(r"^dvc exp run (.*)", section, re.MULTILINE)
    return entry, re.findall(r"-S ([\w.]+)=(\w+)", command)


def stage(name, folder):
    """Run a stage in a folder that has its inputs."""
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, "-m", f"stages.{name}"],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.fixture
def project(tmp_path):
    """The parameters and the table of the project, and four products of which three have images."""
    ids = np.arange(len(TITLES))
    products = pd.DataFrame({"designation": TITLES, "description": None})
    raw = products.assign(productid=ids + 10, imageid=ids + 20)
    (tmp_path / "data").mkdir()
    raw.to_csv(tmp_path / "data/X_train.csv")
    cleaned = products.assign(id=ids, description="")
    storage.write_table(tmp_path / "build/clean/products.parquet", cleaned)
    with zipfile.ZipFile(tmp_path / "data/images.zip", "w") as archive:
        for number in ids[1:]:
            content = io.BytesIO()
            Image.new("RGB", (40, 60), (200, 30 * int(number), 90)).save(content, "PNG")
            name = f"image_train/image_{number + 20}_product_{number + 10}.jpg"
            archive.writestr(name, content.getvalue())
    (tmp_path / "models").mkdir()
    (tmp_path / "rakuten/data").mkdir(parents=True)
    for name in ("params.yaml", "rakuten/data/resources.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def follow(project, titles):
    """Carry out sections of the document; only what they add is fetched."""
    params = storage.read_yaml(project / "params.yaml")
    table = {}
    for title in titles:
        entry, settings = recipe(title)
        for name, value in settings:
            section, _, key = name.partition(".")
            assert key in params[section]
            params[section][key] = value
        value = settings[0][1]
        path = project / f"models/{value}.onnx"
        assert f"file: models/{value}.onnx" in entry
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        table |= storage.parse_yaml(entry.replace("SHA256", sha256))
        assert list(table)[-1] == value
    storage.write_json(project / "params.yaml", params)
    storage.write_json(project / "rakuten/data/resources.yaml", table)
    stage("resources", project)


@pytest.mark.slow
def test_encoders_are_added_by_the_recipe(project):
    """Embeddings of the small networks: the mean colour, and the length of the text."""
    write_encoder(project / "models/my_encoder.onnx", size=224, name="image_embeds")
    write_text_encoder(project / "models/my_text_encoder.onnx", width=384)
    follow(project, ["An image encoder", "A text encoder"])
    stage("encode_image", project)
    features = storage.read_arrays(project / "build/encode_image/features.npz")
    assert features["present"].tolist() == [False, True, True, True]
    colours = np.array([[200, 30 * number, 90] for number in (1, 2, 3)])
    expected = (colours - [122.8, 116.7, 104.1]) / [68.5, 66.6, 70.3]
    np.testing.assert_allclose(features["average"][0, 1:], expected, atol=0.05)
    (blocks,) = image_ensemble.views(features, np.array([1, 2]))
    assert {name: block.shape for name, block in blocks.items()} == {
        "average": (2, 3),
        "frame": (2, 5),
    }
    stage("encode_text", project)
    vectors = storage.read_arrays(project / "build/encode_text/vectors.npz")
    assert vectors["title"].shape == (4, 384)
    assert vectors["title"][:, 7].tolist() == [len(title) for title in TITLES]

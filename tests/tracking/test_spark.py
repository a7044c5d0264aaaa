"""The registered classifier on Spark, with the code of docs/scale.md. Needs PySpark and minutes."""

import os
import re
import shutil
import subprocess
import sys

import pandas as pd
import pytest
from repository import ROOT, run

from rakuten import storage
from rakuten.serving.classifier import Product, ProductClassifier

DOCUMENT = (ROOT / "docs/scale.md").read_text()
(CODE,) = re.findall(r"## Spark\n.*?```python\n(.*?)```", DOCUMENT, re.DOTALL)

STRICT = """
strict = mlflow.pyfunc.spark_udf(
    spark,
    "models:/rakuten-product-classifier@champion",
    env_manager="local",
    result_type="prdtypecode long, name string, probability double",
)
try:
    products.where("image is null").select(strict(*given)).write.parquet("refused")
except Exception as error:
    print("REFUSED", error)
"""
"""What follows it here: the same without on_error, where a bad product fails the job."""

LIBRARIES = """
import sys
import pandas as pd
model = mlflow.pyfunc.load_model("models:/rakuten-product-classifier@champion")
model.predict(pd.DataFrame({"title": ["Piscine"], "description": [""]}))
print("LOADED", *sorted({"onnxruntime", "tensorflow", "keras"} & set(sys.modules)))
"""
"""What a worker does: it loads the model and predicts."""

PRODUCTS = 12
FILES = 2


@pytest.fixture(scope="module")
def folder(built_repository, tmp_path_factory):
    """A store whose champion is the sample's package, and products in several files."""
    root = tmp_path_factory.mktemp("spark")
    (root / "build").mkdir()
    (root / "build/package").symlink_to(built_repository / "build/package")
    command = ["python", "-m", "rakuten", "promote"]
    assert "is now the champion" in run(command, built_repository, DVC_ROOT=str(root))
    table = storage.read_table(built_repository / "build/clean/products.parquet").head(PRODUCTS)
    with storage.ImageArchive(built_repository / "data/images.zip") as archive:
        images = [archive.read(name) for name in archive.names()[:PRODUCTS]]
    products = pd.DataFrame(
        {
            "id": table["id"],
            "title": table["designation"],
            "description": table["description"],
            "image": images,
        }
    ).astype({"title": object, "description": object, "image": object})
    products = products.where(products.notna(), None)
    products.loc[3, "image"] = None  # text alone
    products.loc[5, ["title", "description"]] = None  # an image alone
    products.loc[[8, 9], ["title", "description", "image"]] = None
    products.at[9, "image"] = images[9][:200]
    for part in range(FILES):
        storage.write_table(root / f"products/{part}.parquet", products.iloc[part::FILES])
    return root, products


def submit(code, folder):
    """Run a script on two local cores, outside the repository: the code comes with the model."""
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_SUBMIT_ARGS": "--master local[2] --conf spark.ui.enabled=false pyspark-shell",
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    environment.pop("PYTHONPATH", None)
    (folder / "job.py").write_text(code)
    return subprocess.run(
        [sys.executable, "job.py"], cwd=folder, env=environment, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600,
    )  # fmt: skip


@pytest.mark.scale(minutes=4)
@pytest.mark.skipif(
    shutil.which("java") is None and "CI" not in os.environ,
    reason="Spark needs Java 17: apt-get install default-jre-headless",
)
def test_spark_answers_as_the_classifier_does(built_repository, folder):
    root, products = folder
    done = submit(CODE + STRICT + LIBRARIES, root)
    assert done.returncode == 0, done.stdout[-6000:]
    assert re.search("^LOADED onnxruntime$", done.stdout, re.MULTILINE)
    refused = done.stdout.partition("REFUSED")[2]
    assert re.search(r"row \d: title, description and image are all missing", refused)
    assert not (root / "refused/_SUCCESS").exists()
    assert len(list((root / "predictions").glob("part-*.parquet"))) >= 2  # partitions
    found = pd.read_parquet(root / "predictions").sort_values("id", ignore_index=True)
    assert found["id"].tolist() == products["id"].tolist()

    bad = [8, 9]
    assert found.loc[bad, ["prdtypecode", "name", "probability"]].isna().all(axis=None)
    assert "all missing" in found["problem"][8]
    assert found["problem"][9].startswith("image: cannot decode 200 bytes")

    good = products.drop(bad)
    given = [
        Product(row.title or "", row.description or "", row.image) for row in good.itertuples()
    ]
    expected = ProductClassifier.load(built_repository / "build/package").predict(given)
    found = found.drop(bad)
    assert found["problem"].isna().all()
    assert found["prdtypecode"].tolist() == [one.code for one in expected]
    assert found["name"].tolist() == [one.name for one in expected]
    assert found["probability"].tolist() == [one.probability for one in expected]

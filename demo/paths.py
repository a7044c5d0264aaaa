"""The files that the page reads."""

from collections.abc import Iterable
from pathlib import Path

from rakuten.model_names import STUDY
from rakuten.serving import package

PACKAGE = package.FOLDER
SUMMARY = PACKAGE / package.SUMMARY
VECTORS = Path("build/encode_text/vectors.npz")
FEATURES = Path("build/encode_image/features.npz")
PRODUCTS = Path("build/clean/products.parquet")
PARTS = Path("build/split/parts.parquet")
ARCHIVE = Path("data/images.zip")
DATASET = Path("data/dataset.json")
TABLES = Path("reports/evaluate/tables")
SUSPECTS = Path("reports/audit/tables/suspect_labels.csv")
CORRECTIONS = Path("corrections/corrections_demo.csv")
PREDICTIONS = TABLES / "predictions_late_fusion.csv"

MODELS_NEED = (SUMMARY, VECTORS, FEATURES)
PRODUCTS_NEED = (PRODUCTS, PARTS, ARCHIVE, DATASET, PREDICTIONS)

HISTORIES = {net: Path(f"reports/{net}/history.csv") for net in STUDY}
"""Training curves by net."""

REPORTS_NEED = (
    *(
        TABLES / f"{name}.csv"
        for name in ("comparison", "confusion", "categories", "calibration", "intervals")
    ),
    *HISTORIES.values(),
)


def missing(paths: Iterable[Path]) -> list[str]:
    """List the files that do not exist."""
    return [str(path) for path in paths if not path.exists()]

"""Labels, scores and product tables for the tests of the evaluation."""

import numpy as np
import pandas as pd

from rakuten.evaluation import inputs


def one_hot(classes):
    """Scores of a model that predicts `classes` with probability 1."""
    return np.eye(27, dtype=np.float32)[np.asarray(classes)]


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)


def random_problem(rows=80, classes=9, seed=0):
    """Labels of some of the 27 classes, and probabilities that are right about half the time."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, rows)
    logits = generator.normal(size=(rows, 27))
    logits[np.arange(rows), labels] += 2
    return labels, softmax(logits)


def rows_of(labels, modality="both"):
    """Products in the form of `describe`, as far as intervals read it."""
    groups = np.arange(len(labels))
    return pd.DataFrame({"label": labels, "modality": modality, "group": groups})


def product_tables():
    products = pd.DataFrame(
        {
            "id": [2, 3, 5, 8, 9],
            "label": [0, 1, 2, 3, 4],
            "description": ["<p>Bon</p>", None, "  ", "text", None],
            "has_text": [True, True, True, True, False],
            "language": ["fr", "en", "de", "fr", ""],
        }
    )
    parts = pd.DataFrame(
        {
            "id": [2, 3, 5, 8, 9],
            "part": ["train", "test", "test", "test", "test"],
            "group": [2, 3, 5, 5, 9],
        }
    )
    return products, parts


def described():
    return inputs.describe(*product_tables(), np.array([True, False, True, True, True]))


def model_arrays(ids, present, **scores):
    return {"ids": np.array(ids), "present": np.array(present), **scores}

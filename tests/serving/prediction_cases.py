"""A small classifier, product files and a way to run the command, for tests of prediction."""

import csv
import hashlib
import io
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from rakuten import categories, model_names
from rakuten.category_names import category
from rakuten.image import preprocessing
from rakuten.serving import predict_command
from rakuten.serving.classifier import Choice, Prediction, Prepared

HEADER = ["", "designation", "description", "productid", "imageid"]


@dataclass
class ToyClassifier:
    """A classifier that draws predictions from a hash of the texts and the image file."""

    fails_at: int | None = None  # number of the chunk at which it fails
    seen: list = field(default_factory=list)
    chunks: int = 0
    loads: int = 0
    models: list = field(default_factory=list)
    model_name: str = "late_fusion"

    def __call__(self, folder, *, model="late_fusion"):
        self.loads += 1
        self.models.append(model)
        return self

    def prepare(self, product):
        if product.image is not None:
            preprocessing.decode(product.image)
        if model_names.BY_NAME[self.model_name].modality == "image":
            return Prepared("", "", product.image)
        return Prepared(product.title, product.description, product.image)

    def encode_image(self, prepared):
        return prepared

    def classify(self, prepared, *, top=5):
        if self.chunks == self.fails_at:
            raise RuntimeError("killed")
        self.chunks += 1
        self.seen += [product.title for product in prepared]
        return [self.predict_one(product, top) for product in prepared]

    def predict_one(self, product, top):
        if not (product.title or product.description or product.image):
            order, shares = list(categories.CODES), np.full(27, 1 / 27)
        else:
            content = f"{product.title}|{product.description}|".encode() + (product.image or b"")
            seed = int.from_bytes(hashlib.sha256(content).digest()[:4])
            draws = np.random.default_rng(seed)
            order = draws.permutation(categories.CODES).tolist()
            shares = np.sort(draws.dirichlet(np.ones(27)))[::-1]
        choices = [
            Choice(code, category(code, "fr"), float(share))
            for code, share in zip(order, shares, strict=True)
        ]
        text = 1.25 if product.title or product.description else None
        return Prediction(tuple(choices[:top]), text, -0.5 if product.image else None)


def jpeg(number):
    content = io.BytesIO()
    Image.new("RGB", (8, 8), (number * 20 % 256, 90, 200)).save(content, "JPEG")
    return content.getvalue()


def challenge_rows(count=11):
    """Rows in the format of the challenge; every third has no description."""
    return [
        [84916 + 3 * i, f"Piscine {i}, bleue", f'<p>"été"\n{i}</p>' if i % 3 else "", i, i + 50]
        for i in range(count)
    ]


def write_csv(path, rows, header=HEADER):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
    return path


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def errors_of(path):
    return read_csv(path.with_name(f"{path.name}.errors.csv"))[1:]


def run(*arguments, load=None):
    return predict_command.main([str(argument) for argument in arguments], load or ToyClassifier())

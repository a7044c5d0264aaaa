"""Catalogues, a small classifier and small transforms, for tests of distributed runs."""

import contextlib
import hashlib
import io
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from rakuten import categories
from rakuten.category_names import category
from rakuten.distributed.features import Encoding
from rakuten.distributed.prediction import Prediction as RayPrediction
from rakuten.distributed.transform import Steps
from rakuten.image import encoder, extraction, preprocessing
from rakuten.serving import product_tables
from rakuten.serving.classifier import Choice, Prediction, Prepared

FIELDS = b",designation,description,productid,imageid\n"
WIDTHS = {"average": 6, "middle_1": 8, "middle_2": 5}
SIZE = 32

BACKBONE = extraction.Settings(
    backbone="vgg16",
    precision="float32",
    size=SIZE,
    crop_borders=True,
    border_tolerance=16,
    batch_size=2,
)
SPEC = encoder.EncoderSpec(
    name="small",
    sha256="0" * 64,
    size=SIZE,
    resize="bicubic",
    layout="nchw",
    mean=(127,),
    std=(128,),
    average=("average",),
)


def wait(reached, message=lambda: ""):
    """Wait for an event; the limit only ends a test that would never end."""
    end = time.monotonic() + 600
    while not reached():
        assert time.monotonic() < end, f"waited for 10 minutes: {message()}"
        time.sleep(0.1)


def actors(process):
    """Find the processes that compute partitions among a process and those that it has started."""
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for one in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                found += [one] if "MapWorker" in " ".join(one.cmdline()) else []
    return found


def section(*views):
    """The section `encode_image` without the encoder's name."""
    return {"views": list(views), "crops": ["product"], "border_tolerance": 16}


def blank():
    """A prepared image of one view."""
    facts = np.zeros((1, len(preprocessing.Facts._fields)))
    return preprocessing.Prepared(np.zeros((1, SIZE, SIZE, 3), np.uint8), facts)


def jpeg(shade):
    content = io.BytesIO()
    Image.new("RGB", (40, 30), (shade % 256, 90, 200)).save(content, "JPEG")
    return content.getvalue()


def catalogue(folder, count, *, every=3):
    """Write rows with markup, quotes and line ends in fields; every third has an image."""
    (folder / "images").mkdir(parents=True)
    lines = []
    for i in range(count):
        lines.append(f'{100 + 2 * i},"Piscine {i},\nbleue","<p>""été"" {i}</p>",{i},{i + 50}')
        if i % every == 0:
            (folder / "images" / f"image_{i + 50}_product_{i}.jpg").write_bytes(jpeg(7 * i))
    source = folder / "x.csv"
    source.write_bytes(FIELDS + "\r\n".join([*lines, "", ""]).encode())
    return source


def append_faulty_rows(folder):
    """Append a corrupt image, broken UTF-8, a field too many and a wrong index."""
    source = folder / "x.csv"
    (folder / "images" / "image_50_product_0.jpg").write_bytes(jpeg(1)[:200])
    faulty = [
        b"9002,caf\xe9,,1,51\n",
        b"9003,too,many,fields,1,51\n",
        b"nine,index,,1,51\n",
    ]
    source.write_bytes(source.read_bytes() + b"".join(faulty))


def as_faulty_parquet(source):
    """Write a catalogue as Parquet; append a field that is too long and broken UTF-8."""
    frame = pd.read_csv(source)
    table = pa.table(
        {
            "index": [*frame.iloc[:, 0], 9001, 9002],
            "designation": [*(text.encode() for text in frame["designation"]), b"x", b"caf\xe9"],
            "description": [
                *(text.encode() for text in frame["description"]),
                b"a" * (product_tables.MAX_FIELD + 1),
                b"",
            ],
            "productid": [*frame["productid"], 1, 1],
            "imageid": [*frame["imageid"], 51, 51],
        }
    )
    pq.write_table(table, source.with_suffix(".parquet"), row_group_size=6)
    return source.with_suffix(".parquet")


def digest(pixels):
    return hashlib.sha256(np.ascontiguousarray(pixels)).hexdigest()


class ToyClassifier:
    """Draws predictions from a hash of text and pixels, and can fail or wait.

    While the file `hold` exists, it waits before its fourth chunk.
    """

    model_name = "late_fusion"

    def __init__(self, folder):
        self.folder, self.chunks = Path(folder), 0

    def prepare(self, product):
        preparation = SPEC.preparation(**section("original"))
        image = None
        if product.image is not None:
            image = preprocessing.prepare(product.image, preparation)
        return Prepared(product.title, product.description, image)

    def encode_image(self, prepared):
        return prepared

    def classify(self, prepared, *, top):
        (self.folder / f"{os.getpid()}.actor").touch()
        self.chunks += 1
        while self.chunks > 3 and (self.folder / "hold").exists():
            time.sleep(0.1)
        if (self.folder / "fail").exists() and prepared[0].title.startswith("Piscine 20,"):
            raise ValueError("a bug")
        if any(one.title == "Crash" for one in prepared):
            os.kill(os.getpid(), signal.SIGKILL)
        return [self._predict(one, top) for one in prepared]

    def _predict(self, prepared, top):
        pixels = prepared.image.pixels.tobytes() if prepared.image else b""
        text = f"{prepared.title}|{prepared.description}|".encode()
        draws = np.random.default_rng(list(text + pixels))
        shares = draws.dirichlet(np.ones(27))
        order = draws.permutation(categories.CODES)[:top]
        choices = [Choice(int(c), category(c, "fr"), float(shares[i])) for i, c in enumerate(order)]
        return Prediction(
            tuple(choices), 1.25 if prepared.title else None, -0.5 if pixels else None
        )


@dataclass(frozen=True)
class ToyPrediction(RayPrediction):
    """Predicts with the small classifier; a title ends the process while it is prepared.

    While the file `meet` exists, processes wait for a second one when they load the classifier.
    """

    def identity(self):
        return {"toy": True}

    def classifier(self):
        folder = Path(self.package)
        if (folder / "meet").exists():
            (folder / f"{os.getpid()}.loading").touch()
            wait(lambda: len(list(folder.glob("*.loading"))) >= 2)
        return ToyClassifier(folder)

    def load(self):
        prepare, compute = super().load()

        def crash(row, images):
            if row.title == "Crash in preparation":
                os.kill(os.getpid(), signal.SIGKILL)
            return prepare(row, images)

        return Steps(crash, compute)


@dataclass(frozen=True)
class ListingPrediction(RayPrediction):
    """Predicts with a packaged classifier and lists the modules that the process has imported."""

    folder: str = ""

    def load(self):
        prepare, compute = super().load()

        def listing(prepared_rows):
            table = compute(prepared_rows)
            Path(self.folder, f"{os.getpid()}.modules").write_text("\n".join(sys.modules))
            return table

        return Steps(prepare, listing)


@dataclass(frozen=True)
class ToyEncoding(Encoding):
    """Computes features without a network; the file `crash` ends the process once."""

    threads = 2
    batch_size = 2
    takes_gpu = True

    def identity(self):
        return {"toy": True}

    def network(self):
        return ToyNetwork(Path(self.path))


@dataclass(frozen=True)
class ToyNetwork:
    """Sums pixels."""

    folder: Path

    widths = WIDTHS
    dtype = np.float16

    def __call__(self, pixels):
        device = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        (self.folder / f"{os.getpid()}.{device}.device").touch()
        with (self.folder / f"{os.getpid()}.calls").open("a") as file:
            file.writelines(f"{digest(one)}\n" for one in pixels)
        with contextlib.suppress(FileNotFoundError):
            (self.folder / "crash").unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        if (self.folder / "fail").exists() and (abs(pixels[:, 0, 0, 0] - 7.0 * 30) < 4).any():
            raise ValueError("a bug")
        flat = pixels.reshape(len(pixels), -1).astype(np.float32)
        sums = np.cumsum(flat, axis=1) / np.float32(70)  # computed independently for each image
        return {k: sums[:, -w:].astype(np.float16) for k, w in WIDTHS.items()}

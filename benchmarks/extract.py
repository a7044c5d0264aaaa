"""Measure VGG16 features against one Keras generator with a prediction per batch."""

from functools import partial

import numpy as np
from tqdm import tqdm

from benchmarks import measure
from rakuten import determinism, storage
from rakuten.determinism import keras
from rakuten.image import backbones, extraction, preprocessing

IMAGES, DECODED = 128, 64


def naive(folder, base: keras.Model) -> np.ndarray:
    """Extract as tutorials do: a generator of the folder, `predict` for every batch."""
    generator = keras.src.legacy.preprocessing.image.ImageDataGenerator(
        preprocessing_function=keras.applications.vgg16.preprocess_input
    )
    flow = generator.flow_from_directory(
        folder, target_size=(224, 224), batch_size=32, class_mode=None, shuffle=False
    )
    return np.concatenate([base.predict(next(flow), verbose=0) for _ in range(len(flow))])


def main() -> None:
    """Extract the same images in both precisions and with the generator, in alternation."""
    params = storage.read_yaml(measure.ROOT / "params.yaml")
    determinism.configure(seed=0, threads=params["threads"])
    weights = storage.read_arrays(measure.ROOT / "build/resources/vgg16.npz")
    base = backbones.build("vgg16", weights, size=224)
    settings = extraction.Settings(**params["extract"] | {"backbone": "vgg16", "size": 224})
    preparation, batch_size = settings.preparation, settings.batch_size
    with (
        storage.ImageArchive(measure.ROOT / "data/images.zip") as archive,
        measure.scratch("extract") as folder,
    ):
        names = sorted(archive.names())[:IMAGES]
        (folder / "images").mkdir()
        for name in names:
            (folder / "images" / name.rpartition("/")[2]).write_bytes(archive.read(name))
        images = extraction.find_images(names, archive)
        silent = partial(tqdm, disable=True)

        def extract(precision: str) -> None:
            network = networks[precision]
            extraction.extract(images, archive, network, None, silent, preparation, batch_size)

        networks = {
            precision: backbones.Extractor(
                "vgg16", weights, size=224, precision=precision, batch_size=batch_size
            )
            for precision in backbones.PRECISIONS
        }
        ways = {precision: partial(extract, precision) for precision in backbones.PRECISIONS}
        ways["naive"] = partial(naive, folder, base)
        measure.in_turns(ways, repeats=1)  # warm-up: builds the graphs
        seconds = measure.in_turns(ways, repeats=3)
        decode = measure.in_turns(
            {"decode": lambda: decoded(names, archive, preparation)}, repeats=3
        )
    note = f"{len(images.names)} distinct of {IMAGES} images; naive: one generator"
    given = {"naive": seconds["naive"], "naive_items": IMAGES}
    rows = [
        measure.rate(f"VGG16, {precision}", "images", seconds[precision],
                     len(images.names), note, **given)
        for precision in backbones.PRECISIONS
    ]  # fmt: skip
    rows.append(measure.rate("decoding in one thread", "images", decode["decode"], DECODED))
    measure.keep("extract", rows)


def decoded(
    names: list[str], archive: storage.ImageArchive, preparation: preprocessing.Preparation
) -> None:
    """Prepare images without using them."""
    for name in names[:DECODED]:
        preprocessing.prepare(archive.read(name), preparation)


if __name__ == "__main__":
    main()

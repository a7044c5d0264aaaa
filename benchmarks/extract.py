"""Measure the image networks in every precision, and a Keras generator with VGG16, in turns."""

import statistics
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks import measure
from rakuten import determinism, storage
from rakuten.determinism import keras, tf
from rakuten.image import backbones, encoder, encoder_precision, extraction, preprocessing

IMAGES, DECODED = 128, 64


def naive(folder, base: keras.Model) -> np.ndarray:
    """Extract as tutorials do: a generator of the folder, `predict` for every batch."""
    generator = tf.keras.preprocessing.image.ImageDataGenerator(
        preprocessing_function=keras.applications.vgg16.preprocess_input
    )
    flow = generator.flow_from_directory(
        folder, target_size=(224, 224), batch_size=32, class_mode=None, shuffle=False
    )
    return np.concatenate([base.predict(next(flow), verbose=0) for _ in range(len(flow))])


def main() -> None:
    """Extract the same images with every network and with the generator, in alternation."""
    params = storage.read_yaml(measure.ROOT / "params.yaml")
    determinism.configure(seed=0, threads=params["threads"])
    weights = storage.read_arrays(measure.ROOT / "build/resources/vgg16.npz")
    base = backbones.build("vgg16", weights, size=224)
    settings = extraction.Settings(**params["extract"] | {"backbone": "vgg16", "size": 224})
    with (
        storage.ImageArchive(measure.ROOT / "data/images.zip") as archive,
        measure.scratch("extract") as folder,
    ):
        names = sorted(archive.names())[:IMAGES]
        (folder / "images").mkdir()
        for name in names:
            (folder / "images" / name.rpartition("/")[2]).write_bytes(archive.read(name))
        images = extraction.find_images(names, archive)
        ways = {}
        for name, (network, options) in networks(params, settings, weights, folder).items():
            options["progress"] = partial(tqdm, disable=True)
            ways[name] = partial(extraction.extract, images, archive, network, None, **options)
        of_networks = list(ways)
        ways["naive"] = partial(naive, folder, base)
        measure.in_turns(ways, repeats=1)  # warm-up: builds the graphs
        seconds = measure.in_turns(ways, repeats=3)
        decode = measure.in_turns(
            {"decode": lambda: decoded(names, archive, settings.preparation)}, repeats=3
        )
    count = len(images.names)
    reference = statistics.median(seconds[of_networks[0]])
    rows = []
    for name in of_networks:
        times = reference / statistics.median(seconds[name])
        note = f"{times:.2g} times VGG16, float32; {count} distinct of {IMAGES} images; "
        note += "naive: one generator with VGG16"
        row = measure.rate(
            name, "images", seconds[name], count, note,
            naive=seconds["naive"], naive_items=IMAGES,
        )  # fmt: skip
        rows.append(row)
    rows.append(measure.rate("decoding in one thread", "images", decode["decode"], DECODED))
    measure.save("extract", rows)


def networks(
    params: dict, settings: extraction.Settings, weights: dict[str, np.ndarray], folder: Path
) -> dict[str, tuple[extraction.Extractor, dict]]:
    """Load VGG16 and EfficientNet-Lite2 in every precision, VGG16 in float32 first.

    Returns:
        Each network, and its preparation and batch size for `extraction.extract`.
    """
    found: dict[str, tuple[extraction.Extractor, dict]] = {}
    for precision in backbones.PRECISIONS:
        options = {"precision": precision, "batch_size": settings.batch_size}
        network = backbones.Extractor("vgg16", weights, size=settings.size, **options)
        found[f"VGG16, {precision}"] = (
            network,
            {"preparation": settings.preparation, "batch_size": settings.batch_size},
        )
    section = params["encode_image"]
    options = encoder.preparation_options(section)
    path, spec = encoder.find(section["encoder"], measure.ROOT / encoder.FOLDER)
    for precision in encoder_precision.PRECISIONS:
        encoder_precision.write(folder / precision, path, spec, precision=precision)
        network = encoder.ImageEncoder(*encoder.read(folder / precision), threads=params["threads"])
        found[f"{spec.name}, {precision}, {len(section['crops'])} crops"] = (
            network,
            {"preparation": spec.preparation(**options), "batch_size": encoder.BATCH},
        )
    return found


def decoded(
    names: list[str], archive: storage.ImageArchive, preparation: preprocessing.Preparation
) -> None:
    """Prepare images without using them."""
    for name in names[:DECODED]:
        preprocessing.prepare(archive.read(name), preparation)


if __name__ == "__main__":
    main()

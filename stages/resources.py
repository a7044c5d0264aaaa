"""Fetch what the other stages would otherwise download: pinned, verified, in canonical form."""

from rakuten import stage_log, storage
from rakuten.data import resources


def main() -> None:
    """Read the table of resources and write those that the parameters need."""
    with stage_log.stage("resources") as log:
        backbone, text_encoder, image_encoder = storage.read_params(
            "extract.backbone", "encode_text.encoder", "encode_image.encoder"
        )
        table = resources.read_table()
        wanted = resources.choose(
            table, backbone=backbone, text_encoder=text_encoder, image_encoder=image_encoder
        )
        log.received(f"{len(wanted)} of the {len(table)} resources in resources.yaml")
        served = resources.fetch(table, wanted)
        resources.tidy_optional(table, wanted)
        log.wrote(f"{len(served)} resources in build/resources, all hashes verified")


if __name__ == "__main__":
    main()

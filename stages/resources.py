"""Fetch what the other stages would otherwise download: pinned, verified, in canonical form."""

from rakuten import journal, resources, storage


def main() -> None:
    """Read the table of resources, write each of them."""
    with journal.stage("resources") as log:
        table = storage.read_yaml("resources.yaml")
        log.received(f"{len(table)} resources pinned in resources.yaml")
        served = resources.fetch(table, list(table))
        log.wrote(f"{len(served)} resources in build/resources, every hash as pinned")


if __name__ == "__main__":
    main()

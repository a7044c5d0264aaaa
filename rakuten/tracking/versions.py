"""Describe a package in the tags, metrics and description of its version in the registry."""

from rakuten.serving import package

DIGEST, DATA, DATA_DIGEST = "package.digest", "data.name", "data.digest"
"""Tags of a version."""


def tags(summary: dict, digest: str, commit: str) -> dict[str, str]:
    """List the tags of a version.

    Args:
        summary: The content of the package's package.json.
        digest: The package's digest.
        commit: The commit that it was built from, "" if unknown.

    Returns:
        Values by name: digest, data, commit and test metrics.
    """
    measured = {name: str(value) for name, value in metrics(summary, "test.").items()}
    data = {DATA: summary["dataset"]["name"], DATA_DIGEST: summary["dataset"]["digest"]}
    return {DIGEST: digest, **data, "git.commit": commit, **measured}


def metrics(summary: dict, prefix: str) -> dict[str, float]:
    """Select the test metrics of the default model.

    Args:
        summary: As for `tags`.
        prefix: Put before each name, such as "test/".
    """
    test = summary["test"][package.DEFAULT_MODEL]
    return {f"{prefix}{name}": value for name, value in test.items() if value is not None}


def description(summary: dict, tags: dict[str, str]) -> str:
    """Describe a version for the user interface.

    Args:
        summary: As for `tags`.
        tags: What the function `tags` returned.
    """
    test = summary["test"][package.DEFAULT_MODEL]
    figures = "no test products"
    if test["rows"]:
        figures = (
            f"weighted F1 {test['weighted_f1']:.1%}, accuracy {test['accuracy']:.1%} on "
            f"{test['rows']:,} test products"
        )
    fitted = summary.get("fitted_on", {})  # packages of earlier versions have none
    refitted = ""
    if fitted.get("rows") == "all":
        refitted = (
            "Figures: fitted on the train part. Packaged: ensembles refitted on all "
            f"{fitted['products']:,} labelled products. "
        )
    return (
        f"Trained on {tags[DATA]} (data {tags[DATA_DIGEST][:7]}): {figures}. {refitted}Package "
        f"{tags[DIGEST][:7]}, commit {tags['git.commit'][:7] or 'unknown'}."
    )

"""Log a comparison of new products with the training data as a run in MLflow."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from rakuten.tracking.mirror import NOTE, Mirror, store_errors

TIME_LIMIT = 30.0
"""Seconds to spend in all on a tracking server."""

SOURCE = "drift"
"""The tag `source` of these runs; those of models have another."""


def log(report: Mapping[str, Any], files: list[Path]) -> None:
    """Log a run with the indices, the limits and the files; it fails if it cannot be completed.

    Args:
        report: As `rakuten.reports.drift_page.render` takes it.
        files: Files to attach.

    Raises:
        One of `rakuten.tracking.mirror.store_errors`: If the store cannot be used.
    """
    mirror = Mirror(TIME_LIMIT)
    drifted = [one["title"] for one in report["measurements"] if one["drift"]]
    tags = {"source": SOURCE, "data": report["file"], "model": "package"}
    note = f"{report['file']} compared with the training data ({report['data']}): drift in "
    name = f"Drift of {report['file']}"
    run_id = mirror.create(name, tags | {NOTE: note + (", ".join(drifted) or "no measurement")})
    metrics = {f"drift/psi_{one['name']}": one["psi"] for one in report["measurements"]}
    metrics |= {"drift/measurements": len(drifted), "drift/products": report["products"]}
    params = report["limits"] | {"package": report["package"]}
    try:
        mirror.log(run_id, metrics=metrics, params=params)
        for path in files:
            mirror.call("log_artifact", run_id, str(path))
    except BaseException:  # also Ctrl-C
        with suppress(*store_errors()):
            mirror.call("set_terminated", run_id, "FAILED")
        raise
    mirror.call("set_terminated", run_id, "FINISHED")

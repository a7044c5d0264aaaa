"""MLflow: runs, registry, served model."""

"""Addresses of MLflow stores: relative ones, and passwords in messages."""

import os
import re
from pathlib import Path
from urllib.parse import parse_qs, quote, quote_plus, unquote

DATABASE = "mlflow.db"
"""The default store, in the project's folder."""

_SQLITE = re.compile(r"(sqlite(?:\+\w+)?:///)([^?]+)(.*)")
_CREDENTIALS = re.compile(r"(://[^\s:@/'\"]*:)([^\s'\"]*)@")
_OPTIONS = ("password", "passwd", "pwd", "sslpassword", "ssl_key_password", "odbc_connect")
"""Options of database addresses that hold a password."""
_SCHEMELESS = ("databricks", "uc")
"""Words that MLflow takes for a service, not for a folder."""


def configured() -> str:
    """Return `MLFLOW_TRACKING_URI`, "" if it is not set."""
    return os.environ.get("MLFLOW_TRACKING_URI", "")


def resolve(address: str, root: Path) -> str:
    """Make a relative address absolute.

    It would otherwise depend on the working directory, which is a temporary copy in queued
    experiments.

    Args:
        address: A tracking URI; "" means `DATABASE`.
        root: The project's folder, to which the address is relative.

    Returns:
        The address as MLflow takes it.
    """
    if not address:
        path = str(root / DATABASE)
        if "%" in path or "?" in path:  # in an address, these have a meaning of their own
            return f"sqlite+pysqlite:///{quote(path)}"
        return f"sqlite:///{path}"
    if found := _SQLITE.fullmatch(address):
        scheme, path, options = found.groups()
        return address if path == ":memory:" else f"{scheme}{root / path}{options}"
    scheme, separator, path = address.partition(":")
    if separator and scheme != "file":
        return address
    if not separator and scheme.startswith(_SCHEMELESS):
        return address
    path = address if not separator else path
    return address if path.startswith("//") else (root / path).resolve().as_uri()


def artifact_folder(address: str) -> Path | None:
    """Place the artifacts of a SQLite file beside it; None for other stores, which have a place."""
    found = _SQLITE.fullmatch(address)
    if not found or found[2] == ":memory:":
        return None
    return Path(unquote(found[2])).parent / "mlartifacts"


def mask(text: str, address: str | None = None) -> str:
    """Replace passwords in a message by ***.

    Args:
        text: Any text, for example an exception's.
        address: The store's address, whose password may stand alone in the text; the configured
            one if None.

    Returns:
        The text without passwords of addresses, and without MLflow's password and token.
    """
    masked = _CREDENTIALS.sub(r"\1***@", text)
    for secret in _secrets(configured() if address is None else address):
        masked = masked.replace(secret, "***")
    return masked


def _secrets(address: str) -> list[str]:
    """List the forms in which a password can be written, the longest first."""
    given = [found[2] for found in _CREDENTIALS.finditer(address)]
    query = address.partition("?")[2]
    given += [value for name in _OPTIONS for value in parse_qs(query).get(name, [])]
    given += [os.environ.get(f"MLFLOW_TRACKING_{name}", "") for name in ("PASSWORD", "TOKEN")]
    forms = {form for one in given for form in (one, unquote(one), quote_plus(unquote(one)))}
    forms |= {quote(form, safe="") for form in forms}
    # A driver that splits the address at the first @ takes the rest of the password for a host.
    parts = {part for form in forms for part in re.split("[@:/?#]", form) if len(part) > 3}
    return sorted((forms | parts) - {""}, key=len, reverse=True)

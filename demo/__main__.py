"""Start the page: `python -m demo`, as `make demo` does."""

import argparse
import sys
import threading
from pathlib import Path

from demo.paths import PACKAGE, SUMMARY, missing
from rakuten import console
from rakuten.serving import rebuilds

OPTIONS = {
    "server.headless": "true",  # no question about an e-mail address, no browser opened
    "server.fileWatcherType": "none",
    "server.maxUploadSize": "100",  # the page itself refuses large images, with a message
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "client.showErrorLinks": "false",
    "runner.magicEnabled": "false",
    "theme.baseRadius": "0.6rem",
    "theme.light.primaryColor": "#b3132b",
    "theme.light.backgroundColor": "#ffffff",
    "theme.light.secondaryBackgroundColor": "#f6f5f3",
    "theme.light.textColor": "#1d2026",
    "theme.dark.primaryColor": "#f0636f",
    "theme.dark.backgroundColor": "#14161a",
    "theme.dark.secondaryBackgroundColor": "#1f2228",
    "theme.dark.textColor": "#eceae6",
}
"""Options of Streamlit: no request to another host."""


def main() -> None:
    """Check the required files, print the address and start Streamlit."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--address", default="127.0.0.1", help="where to listen (%(default)s)")
    parser.add_argument("--port", type=int, default=8501, help="(%(default)s)")
    parser.add_argument(
        "--review", action="store_true",
        help="let everybody who can open the page correct labels, in corrections/",
    )  # fmt: skip
    given = parser.parse_args()
    try:
        console.check_port(given.address, given.port, "python -m demo")
    except console.PortError as error:
        sys.exit(f"error: {error}")
    if missing((SUMMARY,)):
        rebuilt = rebuilds.writer(patience=rebuilds.PATIENCE) is not None
        remedy = "DVC is rebuilding it." if rebuilt else "run 'make repro' first."
        print(
            f"{PACKAGE} does not exist, so the page can show results but not classify: {remedy}",
            file=sys.stderr,
        )
    print(f"The page is at http://{given.address}:{given.port} (stop it with Ctrl+C)", flush=True)
    options = OPTIONS | {"server.address": given.address, "server.port": str(given.port)}
    flags = [f"--{name}={value}" for name, value in options.items()]
    app = str(Path(__file__).with_name("app.py"))
    from streamlit.web import cli  # here, so that --help and a used port are answered at once

    from demo import shared

    for latest in (shared.BUILD, shared.RESULTS):  # before a rebuild, and before the first visitor
        threading.Thread(target=latest.refresh, daemon=True).start()
    passed = ["--", shared.REVIEW] if given.review else []
    cli.main(["run", app, *flags, *passed], prog_name="streamlit")


if __name__ == "__main__":
    main()

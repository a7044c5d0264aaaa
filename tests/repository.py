"""The repository, clones of it, and commands run in a clone."""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run(command, folder, **environment):
    """Run a command in a clone as a user's shell would, and return its output.

    Variables of the test process (virtual environment, MLflow, DVC) are not passed on. The clone's
    `.venv` comes first on the path.
    """
    inherited = ("VIRTUAL_ENV", "MLFLOW_", "DVC_", "PYTHON", "PYTEST_", "TF_", "KERAS_", "MAKE")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(inherited)}
    path = [p for p in clean["PATH"].split(os.pathsep) if p != str(ROOT / ".venv" / "bin")]
    clean["PATH"] = os.pathsep.join([str(folder / ".venv" / "bin"), *path])
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean | environment,
        shell=isinstance(command, str),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout[-6000:]}"
    return done.stdout


def clone(folder):
    """Clone the project's committed state into a new folder, with an identity to commit with."""
    run(["git", "clone", "--quiet", str(ROOT), str(folder)], folder.parent)
    run(["git", "config", "user.name", "Test"], folder)
    run(["git", "config", "user.email", "test@example.org"], folder)
    return folder


def share_environment(folder, other):
    """Let a clone use another clone's virtual environment."""
    (folder / ".venv").symlink_to(other / ".venv", target_is_directory=True)


def stages_run(log):
    """List the stages that DVC ran, from what it printed."""
    return re.findall(r"Running stage '(\w+)'", log)

"""What a pull request gets: the workflow of GitHub Actions, and `make diff`."""

import re

import pytest
import yaml
from repository import ROOT, clone, run, share_environment

from rakuten import storage

WORKFLOW = ROOT / ".github/workflows/checks.yml"


def test_the_workflow_is_short_and_may_only_read():
    assert len(WORKFLOW.read_text().splitlines()) <= 40
    workflow = yaml.safe_load(WORKFLOW.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    triggers = workflow[True]  # YAML 1.1 reads the key `on` as true
    assert set(triggers) == {"pull_request", "push"}
    (job,) = workflow["jobs"].values()
    steps = job["steps"]
    checkout = steps[0]["with"]
    assert (checkout["fetch-depth"], checkout["persist-credentials"]) == (0, False)
    assert ".ci/run" in [step.get("run") for step in steps]
    used = [step["uses"] for step in steps if "uses" in step]
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+|[\w/-]+@[0-9a-f]{40}", name) for name in used)
    commands = "".join(step.get("run", "") for step in steps)
    assert "${{" not in commands, "a branch's name could hold a command: pass it as a variable"


@pytest.mark.slow
def test_diff_shows_changed_metrics_and_parameters_alone(tmp_path):
    folder = clone(tmp_path / "rakuten")
    share_environment(folder, ROOT)
    run("git switch -q -c change && git update-ref refs/remotes/origin/main HEAD", folder)
    params = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(params.replace("  dropout: 0.5 ", "  dropout: 0.25 "))
    report = folder / "reports/evaluate/metrics.json"
    metrics = storage.read_json(report)
    metrics["fusion"]["validation"]["accuracy"] = 0.99
    storage.write_json(report, metrics)
    run("git commit -qam change", folder)

    shown = run("make -o install --silent diff", folder)
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in shown.splitlines()
        if line.startswith("|") and not line.startswith("|-")
    ]
    assert rows[0][-3:] == ["origin/main", "workspace", "Change"]
    assert [row[1:2] + row[3:4] for row in rows[1:]] == [
        ["fusion.validation.accuracy", "0.99"],
        ["Param", "workspace"],
        ["fusion.dropout", "0.25"],
    ]
    assert "0.25" not in run("make -o install --silent diff BASE=HEAD", folder)
    run("git branch '`>made`'", folder)
    run("BASE='`>made`' make -o install --silent diff", folder)
    assert not (folder / "made").exists()
    missing = run("make -o install --silent diff BASE=no-such || echo failed", folder)
    assert "unknown Git revision 'no-such'" in missing
    assert missing.endswith("failed\n")

"""`python -m rakuten search` with DVC in a small repository: killed, failing, repeated. Slow."""

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial

import optuna
import pytest
from mlflow_store import runs
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from repository import ROOT, run

from rakuten import storage
from rakuten.tracking import search_command
from rakuten.tracking.search import Measured, results
from rakuten.tracking.search_file import Search

pytestmark = pytest.mark.xdist_group("search")  # its tests share fixtures that take long

STAGE = """
import json, os, time
from pathlib import Path
from ruamel.yaml import YAML
params = YAML(typ="safe").load(Path("params.yaml").read_text())
while Path(os.environ.get("HOLD", "absent"), os.environ.get("DVC_EXP_NAME", "")).exists():
    time.sleep(0.1)
text = params["text"]
assert text["hidden_units"] != 13 or "FIXED" in os.environ, "13 units"
loss = (text["dropout"] - 0.3) ** 2 + text["hidden_units"] / 1000 + params["seed"] / 100
Path("metrics.json").write_text(json.dumps({"text": {"validation": {"log_loss": loss}}}))
"""

PIPELINE = """
stages:
  text:
    cmd: python stage.py
    deps: [stage.py]
    params: [seed, text]
    metrics: [{metrics.json: {cache: false}}]
  report:
    cmd: python -c "raise SystemExit('no target of a search')"
    deps: [metrics.json]
"""

DROPOUT = {"text.dropout": {"low": 0.1, "high": 0.7}}


@pytest.fixture(scope="module")
def committed(tmp_path_factory):
    """A repository whose one stage takes no time."""
    folder = tmp_path_factory.mktemp("search") / "project"
    folder.mkdir()
    (folder / ".venv").symlink_to(ROOT / ".venv")
    (folder / ".gitignore").write_text("/.venv\n/mlflow.db\n/mlartifacts\n")
    (folder / "stage.py").write_text(STAGE)
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / "params.yaml").write_text("seed: 1\ntext: {dropout: 0.5, hidden_units: 8}\n")
    run(
        "git init -q && git config user.name Test && git config user.email test@example.org "
        "&& dvc init -q && dvc repro -q text && git add -A && git commit -qm start",
        folder,
    )
    return folder


@pytest.fixture(scope="module")
def expected(committed):
    """What a search prints that is not interrupted."""
    folder = shutil.copytree(committed, committed.parent / "whole" / "project", symlinks=True)
    declare(folder)
    return search(folder)[0]


@pytest.fixture
def repository(committed, tmp_path):
    return shutil.copytree(committed, tmp_path / "project", symlinks=True)


def declare(folder, **changes):
    declared = {"metric": "text.validation.log_loss", "direction": "minimize", "trials": 3}
    storage.write_json(folder.parent / "s.yaml", declared | {"ranges": DROPOUT} | changes)


def start(folder, **environment):
    """Start a search; standard output and errors are read by `communicate`.

    An experiment waits while the folder HOLD has a file of its name.
    """
    path = f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(
        [sys.executable, "-m", "rakuten", "search", "../s.yaml"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PATH": path} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # as from a terminal
    )


def search(folder, status=0, **environment):
    process = start(folder, **environment)
    output, errors = process.communicate()
    assert process.returncode == status, output + errors
    return output, errors


def experiments(folder):
    """The experiments' commits by name."""
    lines = run("git for-each-ref --format='%(refname) %(objectname)' refs/exps", folder)
    return {ref.rpartition("/")[2]: commit for ref, commit in map(str.split, lines.splitlines())}


def ranked(output):
    return re.findall(r"^  (s-\d+)  (\S+).*?text\.dropout=(\S+)", output, re.MULTILINE)


def wait_for(condition):
    end = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def is_free(lock):
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


@pytest.mark.slow(minutes=1)
def test_settings_are_ranked_by_the_mean_over_seeds_and_the_best_is_applied(repository):
    declare(repository, seeds=[3, 1])
    before = run("git status --porcelain && git stash list", repository)
    output, _ = search(repository)
    found = experiments(repository)
    assert sorted(found) == [f"s-00{n}-seed{seed}" for n in range(3) for seed in (1, 3)]
    assert run("git status --porcelain && git stash list", repository) == before
    table = ranked(output)
    losses = [float(loss) for _, loss, _ in table]
    assert losses == sorted(losses)
    for name, loss, dropout in table:
        params = run(["git", "show", f"{found[f'{name}-seed3']}:params.yaml"], repository)
        assert storage.parse_yaml(params)["text"]["dropout"] == float(dropout)
        assert float(loss) == pytest.approx((float(dropout) - 0.3) ** 2 + 0.028, abs=6e-5)
    assert "± 0.0141" in output
    assert {dropout for name, _, dropout in table if name == "s-000"} == {"0.5"}, "params.yaml"
    assert "s-002-seed1" in run(["dvc", "exp", "show", "--csv"], repository)

    output, _ = search(repository)
    assert ranked(output) == table
    declare(repository, seeds=[3, 1], trials=4)
    output, _ = search(repository)
    assert len(ranked(output)) == 4
    kept = experiments(repository)
    assert {name: kept[name] for name in found} == found, "an experiment was repeated"

    (command,) = re.findall(r"^  (dvc exp apply s-00\d-seed1)$", output, re.MULTILINE)
    run(command, repository)
    params = storage.read_yaml(repository / "params.yaml")
    assert params["text"]["dropout"] == float(ranked(output)[0][2])
    assert params["seed"] == 1


@pytest.mark.slow(minutes=1)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_search_continues_as_if_it_had_not_been(repository, tmp_path, number, expected):
    declare(repository)
    hold = tmp_path / "hold" / "s-001"
    storage.write_text(hold, "")
    process = start(repository, HOLD=str(hold.parent))
    log = repository / ".dvc/tmp/search/s-001.log"
    wait_for(lambda: log.exists() and "Running stage" in log.read_text())
    process.send_signal(number)
    _, errors = process.communicate()
    if number == signal.SIGKILL:  # DVC goes on with the experiment
        _, errors = search(repository, status=2)
        assert "is running in another process" in errors
        hold.unlink()
        lock = (repository / ".dvc/tmp/search/s.lock").open()
        wait_for(lambda: is_free(lock))
        assert "s-001" in experiments(repository)
        lock.close()
    else:
        assert process.returncode == 130
        assert "run the same command again" in errors
        assert not list((repository / ".dvc/tmp/exps/standalone").glob("tmp*"))
        hold.unlink()
    found = experiments(repository)
    output, _ = search(repository)
    assert ranked(output) == ranked(expected)
    kept = experiments(repository)
    assert sorted(kept) == ["s-000", "s-001", "s-002"]
    assert found.items() <= kept.items()


@pytest.mark.slow(minutes=1)
def test_a_failed_setting_is_last_and_is_tried_again(repository):
    """The ranges have two settings only."""
    declare(repository, ranges={"text.hidden_units": {"choices": [8, 13]}}, trials=5)
    output, errors = search(repository)
    assert "AssertionError: 13 units" in errors
    assert re.findall(r"^  s-\d+  +(\S+)  text.hidden_units=(\S+)$", output, re.MULTILINE) == [
        ("0.0580", "8"),
        ("failed", "13"),
    ]
    assert "2 settings seem to be all that the ranges contain" in output
    assert "the best setting is that of params.yaml" in output
    output, _ = search(repository, FIXED="1")
    assert "failed" not in output
    assert "0.0630" in output


@pytest.mark.slow(minutes=1)
def test_every_one_of_a_few_choices_is_measured(repository):
    """More than the ten with which TPE starts at random."""
    units = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    declare(repository, ranges={"text.hidden_units": {"choices": units}}, trials=len(units))
    output, _ = search(repository)
    found = re.findall(r"^  s-\d+  \S+  text.hidden_units=(\d+)$", output, re.MULTILINE)
    assert list(map(int, found)) == units


@pytest.mark.slow(minutes=1)
def test_a_search_ends_if_every_setting_fails(repository):
    ranges = DROPOUT | {"text.hidden_units": {"choices": [13]}}
    declare(repository, ranges=ranges, trials=1)
    assert "no setting was measured" in search(repository, status=2)[0]
    declare(repository, ranges=ranges, trials=20)
    _, errors = search(repository, status=2)
    assert "3 settings failed in a row" in errors
    assert experiments(repository) == {}


@pytest.mark.slow(minutes=1)
def test_what_is_not_comparable_is_refused(repository):
    declare(repository, trials=1)
    search(repository)
    declare(repository, trials=1, ranges={"text.dropout": {"low": 0.1, "high": 0.8}})
    assert "another value of: ranges" in search(repository, status=2)[1]
    declare(repository, trials=2)
    (repository / "params.yaml").write_text("seed: 1\ntext: {dropout: 0.5, hidden_units: 9}\n")
    assert "another value of: uncommitted changes" in search(repository, status=2)[1]
    run("git commit -qam other", repository)
    assert "another value of: commit" in search(repository, status=2)[1]


@pytest.mark.slow(minutes=1)
def test_a_change_during_a_search_ends_it_before_the_next_experiment(
    repository, tmp_path, expected
):
    declare(repository)
    hold = tmp_path / "hold" / "s-001"
    storage.write_text(hold, "")
    process = start(repository, HOLD=str(hold.parent))
    log = repository / ".dvc/tmp/search/s-001.log"
    wait_for(lambda: log.exists() and "Running stage" in log.read_text())
    (repository / "params.yaml").write_text("seed: 1\ntext: {dropout: 0.5, hidden_units: 9}\n")
    hold.unlink()
    _, errors = process.communicate()
    assert process.returncode == 2
    assert "another value of: uncommitted changes" in errors
    assert sorted(experiments(repository)) == ["s-000", "s-001"]
    run("git checkout params.yaml", repository)
    assert ranked(search(repository)[0]) == ranked(expected)


@pytest.mark.slow(minutes=1)
def test_a_corrected_file_is_not_compared_with_the_refused_one(repository):
    declare(repository, metric="text.validation.loss", direction="maximize")
    assert "no entry 'text.validation.loss': it has log_loss" in search(repository, status=2)[1]
    declare(repository, metric="text.validation")
    assert "is a section with log_loss: expected a number" in search(repository, status=2)[1]
    declare(repository, trials=1)
    run("dvc exp run --temp -n s-000 -S text.dropout=0.2 text", repository)
    assert "s-000 exists and has other parameters" in search(repository, status=2)[1]
    run(["dvc", "exp", "remove", "s-000"], repository)
    assert "0.0580" in search(repository)[0]


@pytest.mark.slow(minutes=3)
def test_mlflow_lists_every_setting(experiments_repository):
    folder = experiments_repository
    declare(
        folder,
        metric="late_fusion.validation.log_loss",
        ranges={"late_fusion.bias_l2": {"low": 1.0, "high": 30.0, "log": True}},
    )
    output = run("python -m rakuten search ../s.yaml", folder)
    named = re.findall(r"^  (s-\d+)  \S+  late_fusion.bias_l2=", output, re.MULTILINE)
    assert len(named) == 3
    logged = [r.data.tags["dvc.experiment"] for r in runs(folder, "tags.dvc.experiment != ''")]
    assert set(logged) >= {name for name in named if name != "s-000"}  # s-000 changes nothing


def declared(**changes):
    ranges = {"text.dropout": FloatDistribution(0.1, 0.7)}
    standard = Search("s", "text.validation.accuracy", "maximize", 2, ranges, {"text.dropout": 0.5})
    return Search(**vars(standard) | changes)


@pytest.mark.parametrize(
    ("limits", "proposed", "expected"),
    [
        (CategoricalDistribution([0.12345, "b"]), 0.12345, 0.12345),
        (IntDistribution(1, 99999), 12345, 12345),
        (FloatDistribution(0.0, 1.0), 0.123456, 0.1235),
        (FloatDistribution(0.0, 0.99996), 0.99996, 0.99996),
        (FloatDistribution(0.00012344, 1.0, log=True), 0.00012344, 0.00012344),
        (FloatDistribution(0.0, 1.0, step=0.00125), 0.12125, 0.12125),
        (FloatDistribution(0.1, 0.7, step=0.1), 0.1 + 2 * 0.1, 0.3),
    ],
)
def test_numbers_of_continuous_ranges_are_rounded_within_them(tmp_path, limits, proposed, expected):
    ranges = {"text.dropout": limits}
    known = declared(ranges=ranges, present={"text.dropout": proposed})
    assert results(known, tmp_path) == []
    study = optuna.load_study(study_name="s", storage=f"sqlite:///{tmp_path}/.dvc/tmp/search/s.db")
    study.ask(ranges)
    assert [one.setting for one in results(known, tmp_path)] == [{"text.dropout": expected}]


@pytest.mark.parametrize(("seeds", "suffix"), [((), ""), ((20,), "-seed20")])
def test_the_table_of_one_seed_has_no_deviation(seeds, suffix):
    rows = [Measured("s-001", {"text.dropout": 0.2}, [0.9]), Measured("s-000", {"d": 1}, [])]
    assert search_command.report(declared(seeds=seeds), rows, seed=20).splitlines() == [
        "text.validation.accuracy; higher is better",
        "  s-001  0.9000  text.dropout=0.2",
        "  s-000  failed  d=1",
        "small differences are chance: list several seeds to see the deviation",
        "apply the best one:",
        f"  dvc exp apply s-001{suffix}",
        "  dvc repro",
    ]


@pytest.mark.parametrize(("seeds", "chosen"), [((20, 21), 20), ((21, 20), 20), ((3, 4), 3)])
def test_the_experiment_to_apply_has_the_seed_of_params_if_it_was_measured(seeds, chosen):
    rows = [Measured("s-001", {"text.dropout": 0.2}, [0.9, 0.8])] * 2
    shown = search_command.report(declared(seeds=seeds), rows, seed=20)
    assert "0.8500 ± 0.0707" in shown
    assert f"dvc exp apply s-001-seed{chosen}\n" in shown


def test_nothing_is_applied_if_nothing_is_better():
    rows = [Measured("s-000", {"text.dropout": 0.5}, [0.9]), Measured("s-001", {"d": 1}, [0.8])]
    shown = search_command.report(declared(), rows, seed=20)
    assert shown.endswith("the best setting is that of params.yaml")
    failed = [Measured("s-000", {"text.dropout": 0.5}, [])]
    assert "no setting was measured" in search_command.report(declared(), failed, seed=20)

"""The one command line, `python -m rakuten`."""

import itertools
import os
import re
import subprocess
import sys

import pytest
from repository import ROOT

from rakuten import __main__ as command_line


def test_help_lists_every_command_with_a_line(capsys):
    with pytest.raises(SystemExit) as ended:
        command_line.main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    listed = re.findall(r"^  ([a-z]+)  +(\S.*)$", shown.partition("commands:")[2], re.MULTILINE)
    assert listed == [(name, c.summary) for name, c in command_line.COMMANDS.items()]
    assert max(map(len, shown.splitlines())) <= 100


@pytest.mark.parametrize("name", command_line.COMMANDS)
def test_every_command_describes_itself_under_its_own_name(name, capsys):
    with pytest.raises(SystemExit) as ended:
        command_line.main([name, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: python -m rakuten {name} ")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [([], "required: COMMAND"), (["no-such"], "invalid choice: 'no-such'")],
)
def test_a_missing_or_unknown_command_is_an_error(arguments, reason, capsys):
    with pytest.raises(SystemExit) as ended:
        command_line.main(arguments)
    assert ended.value.code == 2
    assert reason in capsys.readouterr().err


def test_arguments_and_exit_status_are_those_of_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command_line.main(["import", "absent"]) == 1
    assert capsys.readouterr().err.startswith("error: nothing was imported: ")


def test_help_imports_no_library():
    """It answers at once; TensorFlow, MLflow or pandas take seconds."""
    code = (
        "import sys; from rakuten import __main__ as m\n"
        "try: m.main(['--help'])\n"
        "except SystemExit: pass\n"
        "names = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(names & {'numpy', 'pandas', 'tensorflow', 'mlflow', 'PIL', 'pyarrow'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_documents_and_code_name_commands_that_exist():
    files = [ROOT / "README.md", ROOT / "Makefile", *(ROOT / "docs").glob("*.md")]
    files += (ROOT / "rakuten").rglob("*.py")
    named = {
        name
        for path in files
        for name in re.findall(r"python -m rakuten ([a-z][\w-]*)", path.read_text())
    }
    assert named <= set(command_line.COMMANDS)
    assert {"import", "predict", "sync", "promote"} <= named


PREDICT = """
import sys
from prediction_cases import ToyClassifier
from rakuten import __main__ as command_line
from rakuten.serving.classifier import ProductClassifier
ProductClassifier.load = ToyClassifier()
sys.exit(command_line.main(sys.argv[1:]))
"""


ENDINGS = (">&-", ">&- 2>&-", "<&- >&- 2>&-", "1</dev/null", "| true", "| (exec <&-; sleep 1)")
QUICK = {(">&-", "1"), ("<&- >&- 2>&-", ""), ("1</dev/null", ""), ("| true", "")}


@pytest.mark.parametrize(
    ("ending", "unbuffered"),
    [
        pytest.param(*case, marks=() if case in QUICK else pytest.mark.slow)
        for case in itertools.product(ENDINGS, ["", "1"])
    ],
)
def test_a_prediction_ends_well_if_nobody_reads_standard_output(tmp_path, ending, unbuffered):
    """Cron closes it, and `| head` ends: the file is complete and the status 0."""
    (tmp_path / "x.csv").write_text("designation\nPiscine\n")
    command = f'"$PYTHON" -c "$PREDICT" predict x.csv -o y.csv --package . {ending}'
    paths = [str(ROOT), str(ROOT / "tests" / "serving")]
    environment = {
        "PYTHON": sys.executable,
        "PREDICT": PREDICT,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUNBUFFERED": unbuffered,
    }
    (tmp_path / "package.json").write_text("{}")
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=tmp_path,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stderr.splitlines() if "product/s" not in line]
    assert (done.returncode, "".join(lines)) == (0, "")
    assert len((tmp_path / "y.csv").read_text().splitlines()) == 2


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_help_may_be_cut_by_the_reader(unbuffered):
    done = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -m rakuten --help | true'],
        cwd=ROOT,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""

"""The one command line, `python -m rakuten`."""

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

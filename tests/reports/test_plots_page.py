import hashlib
import io
import re
import tarfile

import dvc_render.vega
import pytest
import yaml
from repository import ROOT

from rakuten.reports import plots_page

PAGE = (ROOT / ".dvc/plots/page.html").read_text()


def test_the_page_loads_the_versions_that_dvc_itself_loads():
    versions = re.findall(r"npm/([\w-]+@[\d.]+)", dvc_render.vega.VegaRenderer.SCRIPTS)
    assert list(plots_page.SCRIPTS) == versions
    assert re.findall(r"npm/([\w-]+@[\d.]+)", PAGE) == versions


def test_the_page_loads_local_scripts_first():
    for package in plots_page.SCRIPTS:
        name = package.partition("@")[0]
        local = PAGE.index(f'src="../{plots_page.FOLDER}/{name}.min.js"')
        assert local < PAGE.index(f"npm/{package}")


def test_the_page_declares_its_encoding_and_has_dvcs_placeholders():
    assert '<meta charset="utf-8">' in PAGE
    for place in ("{plot_divs}", "{refresh_tag}"):
        assert place in PAGE
    assert "html_template = plots/page.html" in (ROOT / ".dvc/config").read_text()


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """A registry with one package; returns the hash of its script."""
    script = b"draw();"
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        member = tarfile.TarInfo("package/build/draw.min.js")
        member.size = len(script)
        archive.addfile(member, io.BytesIO(script))
    monkeypatch.setattr(plots_page.Downloads, "read", lambda *_: content.getvalue())
    monkeypatch.chdir(tmp_path)
    return hashlib.sha256(script).hexdigest()


def test_a_script_is_fetched_once(npm, tmp_path, monkeypatch):
    plots_page.fetch("draw@1.0", npm)
    monkeypatch.delattr(plots_page.Downloads, "read")
    plots_page.fetch("draw@1.0", npm)
    assert (tmp_path / "build/plots/draw.min.js").read_bytes() == b"draw();"


def test_a_script_with_another_hash_is_refused(npm, tmp_path):
    with pytest.raises(plots_page.ScriptError, match="expected sha256 0000"):
        plots_page.fetch("draw@1.0", "0" * 64)
    assert not (tmp_path / "build").exists()


def test_without_npm_the_command_says_what_the_page_does(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert plots_page.main([]) == 1
    assert "load the scripts from the web" in capsys.readouterr().err


def test_plots_are_drawn_from_columns_that_stages_write():
    plots = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    assert plots
    for plot in plots:
        ((name, options),) = plot.items()
        for path, columns in options["y"].items():
            header = (ROOT / path).read_text().splitlines()[0].split(",")
            used = [columns] if isinstance(columns, str) else columns
            x = options["x"]
            assert {*used, x if isinstance(x, str) else x[path]} <= set(header), (name, path)

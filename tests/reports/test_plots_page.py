"""The page of `dvc plots show` reads as a report, also offline."""

import hashlib
import io
import json
import re
import shutil
import tarfile

import dvc_render.vega
import pandas as pd
import pytest
import yaml
from repository import ROOT, run, share_environment

from rakuten import storage
from rakuten.category_names import CATEGORIES
from rakuten.model_names import BY_NAME, MAIN, STUDY
from rakuten.reports import plot_tables, plots_page, report_tables

PAGE = (ROOT / ".dvc/plots/page.html").read_text()
PLOTS = dict(
    next(iter(plot.items())) for plot in yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
)
TARGETS = ["about", "results", "training"]


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


@pytest.fixture(scope="module")
def page_project(tmp_path_factory):
    """A repository with the plots of dvc.yaml, their tables, and one table without a plot."""
    folder = tmp_path_factory.mktemp("page")
    share_environment(folder, ROOT)
    run(["git", "init", "-q"], folder)
    run(["dvc", "init", "-q"], folder)
    shutil.copytree(ROOT / ".dvc/plots", folder / ".dvc/plots")
    shutil.copy(ROOT / ".dvc/config", folder / ".dvc/config")
    plots = [{name: options} for name, options in PLOTS.items()]
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"plots": [*plots, "reports/other.csv"]}))
    storage.write_csv(folder / "reports/other.csv", pd.DataFrame({"x": [1, 2]}))
    shares = "reports/late_fusion/shares.csv"
    (folder / shares).parent.mkdir()
    shutil.copy(ROOT / shares, folder / shares)
    write_tables(folder, data="catalogue of May")
    run(["git", "add", "dvc.yaml", "reports"], folder)
    run(["git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "Add"], folder)
    return folder


def write_tables(folder, data):
    """Write the tables of the stage `charts` for the committed results."""
    tables = plot_tables.tables(
        report_tables.read_tables(ROOT / "reports/evaluate/tables"),
        storage.read_json(ROOT / "reports/evaluate/models.json"),
        {net: storage.read_csv(ROOT / f"reports/{net}/history.csv") for net in STUDY},
        data=data,
        parts={"train": 945, "validation": 135, "test": 270},
    )
    for name, table in tables.items():
        storage.write_csv(folder / f"reports/charts/tables/{name}.csv", table)


@pytest.fixture(scope="module")
def page(page_project):
    """The file that `dvc plots show` writes without targets."""
    run(["dvc", "plots", "show"], page_project)
    return page_project / "dvc_plots/index.html"


@pytest.fixture(scope="module")
def specs(page):
    """The plots of the page in their order, as Vega-Lite specifications by id."""
    found = re.findall(
        r'<div id = "(\w+)">.*?var spec = (\{.*?\});\n', page.read_text(), flags=re.DOTALL
    )
    return {name: json.loads(spec) for name, spec in found}


def drawn(specs):
    """The plots that a reader sees."""
    return {name: spec for name, spec in specs.items() if not name.startswith("reports_")}


def values(spec, column):
    return {row[column] for row in spec["data"]["values"]}


def test_the_page_shows_the_plots_of_dvc_yaml_in_their_order(specs):
    assert list(drawn(specs)) == [name.replace("/", "_") for name in PLOTS]
    assert {name.partition("/")[0] for name in PLOTS} == set(TARGETS)
    assert "reports_other_csv" in specs


def test_the_page_names_its_data_first(specs):
    name, spec = next(iter(specs.items()))
    text = "Catalogue of May: 1,350 products (945 train, 135 validation, 270 test)"
    assert (name, values(spec, "text")) == ("about", {text})


def test_titles_are_words_and_no_file_names(specs):
    titles = [spec["title"]["text"] for spec in drawn(specs).values()]
    assert len(set(titles)) == len(titles)
    for title in titles:
        assert title[0].isupper()
        assert not re.search(r"[/_]|\.csv|\.json|<DVC", title), title
    for spec in drawn(specs).values():
        assert "<DVC" not in json.dumps(spec)


def test_headings_stand_above_plots_that_exist(specs):
    headings = dict(re.findall(r'"#(\w+)": "(\w+)"', PAGE))
    assert list(headings.values()) == ["Results", "Training"]
    assert set(headings) <= set(specs)
    sections = [name.partition("_")[0] for name in drawn(specs)]
    firsts = [next(n for n in drawn(specs) if n.startswith(s)) for s in dict.fromkeys(sections)]
    assert firsts == ["about", *headings]


def test_categories_and_models_have_names(specs):
    labels = {f"{code} {names['en']}" for code, names in CATEGORIES.items()}
    assert values(specs["results_categories"], "category") == labels
    for side in ("actual", "predicted"):
        assert values(specs["results_confusion"], side) == labels
    titles = {BY_NAME[model].title for model in MAIN}
    for name in ("results_categories", "results_confusion", "results_calibration"):
        assert values(specs[name], "model") == titles
    (choice,) = specs["results_confusion"]["params"]
    assert set(choice["bind"]["options"]) == titles
    assert choice["value"] in titles


def test_plots_diff_distinguishes_revisions(page_project):
    text = run(["dvc", "plots", "diff", "HEAD", "--json", "--targets", *TARGETS], page_project)
    found = json.loads(text)
    assert "errors" not in found
    assert set(found["data"]) == set(PLOTS)
    for name, (plot,) in found["data"].items():
        assert plot["revisions"] == ["workspace", "HEAD"], name
        if name == "results/confusion":
            assert plot["content"]["facet"]["row"]["field"] == "panel"
        else:
            assert '"domain": ["workspace", "HEAD"]' in json.dumps(plot["content"]), name


def test_the_call_of_the_vs_code_extension_gets_complete_templates(page_project):
    """It fills title, data and colours itself, from the definitions beside the template."""
    call = "dvc plots diff HEAD workspace -o .dvc/tmp/plots --split --json"
    found = json.loads(run(call, page_project))
    assert "errors" not in found
    assert set(PLOTS) <= set(found["data"])
    for name in PLOTS:
        (plot,) = found["data"][name]
        left = set(re.findall("<DVC_[A-Z_]+>", json.dumps(plot["content"])))
        assert "<DVC_METRIC_DATA>" in left, name
        assert left <= set(plot["anchor_definitions"]), name


@pytest.mark.slow(minutes=1)
def test_the_page_fits_1280_pixels_and_shows_every_plot(page, monkeypatch):
    """The scripts are in `build/plots`; nothing is loaded from the web."""
    from playwright.sync_api import sync_playwright

    monkeypatch.chdir(page.parents[1])
    if (ROOT / plots_page.FOLDER).exists():
        shutil.copytree(ROOT / plots_page.FOLDER, plots_page.FOLDER)
    assert plots_page.main([]) == 0
    path = shutil.which("chromium")
    assert path, "install Chromium (Debian: apt-get install chromium)"
    faults = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        view = browser.new_page(viewport={"width": 1280, "height": 900})
        view.on("pageerror", lambda error: faults.append(str(error)))
        view.on("request", lambda r: r.url.startswith("file:") or faults.append(r.url))
        view.goto(page.as_uri())
        view.locator("#training_image_share svg.marks").wait_for()
        assert view.locator("h1, h2").all_inner_texts() == [
            "Rakuten product classification", "Results", "Training",
        ]  # fmt: skip
        assert view.locator("svg.marks").count() == len(PLOTS)
        assert view.evaluate("document.documentElement.scrollWidth") <= 1280
        for svg in view.locator("svg.marks").all():
            box = svg.bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 1280
        texts = view.locator("svg.marks").all_text_contents()
        assert not [text for text in texts if "…" in text]
        assert not view.locator("#reports_other_csv").is_visible()
        before = view.locator("#results_confusion svg.marks").inner_html()
        view.locator("#results_confusion select").select_option("Image net")
        view.wait_for_function(
            "before => document.querySelector('#results_confusion svg.marks').innerHTML !== before",
            arg=before,
            timeout=600_000,
        )
        browser.close()
    assert not faults

"""Tests of the command `predict`: arguments, and the prediction of one product."""

import io
import json
import sys
from dataclasses import replace

import pytest
from prediction_cases import ToyClassifier, jpeg, run

from rakuten import storage
from rakuten.categories import CODES
from rakuten.serving import predict_command
from rakuten.serving.classifier import Product, ProductClassifier


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to predict"),
        (("x.csv",), "no output: pass -o"),
        (("x.csv", "-o", "y.csv", "--title", "t"), "pass one of the two"),
        (("x.csv", "-o", "y.csv", "--json"), "--json is for one product"),
        (("--title", "t", "-o", "y.csv"), "--out is for a file of products"),
        (("--title", "t", "--top", "28"), "expected 1 to 27, received 28"),
    ],
)
def test_arguments_that_do_not_go_together_end_with_2(capsys, arguments, message):
    with pytest.raises(SystemExit) as end:
        run(*arguments)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_one_product_is_shown_with_bars(tmp_path, capsys):
    (tmp_path / "a.jpg").write_bytes(jpeg(1))
    assert run("--title", "Piscine", "--image", tmp_path / "a.jpg") == 0
    lines = capsys.readouterr().out.splitlines()
    expected = ToyClassifier().predict_one(Product("Piscine", "", jpeg(1)), 5)
    assert len(lines) == 6
    for line, choice in zip(lines, expected.top, strict=False):
        assert line.startswith(f"{choice.name} ")
        assert f" {choice.code} " in line
        assert f" {choice.probability:.1%}" in line
    widths = [line.count("█") for line in lines[:5]]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 0
    assert lines[5] == (
        f"contributions to {expected.name} (log-odds against the average category): "
        "text +1.25, image -0.50"
    )


def test_one_product_is_shown_in_ascii_if_the_terminal_shows_nothing_else(monkeypatch):
    shown = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", shown)
    assert run("--description", "Une épée") == 0
    shown.flush()
    assert b"#" in shown.buffer.getvalue()
    assert b"no image" in shown.buffer.getvalue()
    assert b"\\x" not in shown.buffer.getvalue(), "accents of category names are left out"


def test_one_product_as_json(capsys):
    assert run("--title", "Piscine", "--json", "--top", 2) == 0
    shown = json.loads(capsys.readouterr().out)
    expected = ToyClassifier().predict_one(Product("Piscine"), 2)
    top = [
        {"prdtypecode": c.code, "name": c.name, "probability": c.probability} for c in expected.top
    ]
    contributions = {"text_contribution": 1.25, "image_contribution": None}
    assert shown == top[0] | contributions | {"top": top}


def test_a_net_has_no_contributions(capsys):
    class Net(ToyClassifier):
        def predict_one(self, product, top):
            return replace(
                super().predict_one(product, top), text_contribution=None, image_contribution=None
            )

    assert run("--title", "Piscine", "--top", 2, load=Net()) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize("words", [["--title", "Piscine"], ["x.csv", "-o", "y.csv"]])
def test_the_model_is_chosen_by_its_name(tmp_path, monkeypatch, capsys, words):
    toy = ToyClassifier()
    monkeypatch.setattr(ProductClassifier, "load", toy)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.csv").write_text("designation\nPiscine\n")
    assert predict_command.main([*words, "--model", "fusion"]) == 0
    assert toy.models == ["fusion"]


def test_an_unknown_model_ends_with_2_and_the_models_of_the_package(tmp_path, capsys):
    summary = {"categories": CODES, "backbone": None, "models": {"text": True}, "threads": 1}
    storage.write_json(tmp_path / "package.json", summary)
    words = ["--title", "Piscine", "--package", str(tmp_path), "--model"]
    for name in ("fusion", "bert"):
        assert predict_command.main([*words, name]) == 2
        message = capsys.readouterr().err
        assert f"no model {name!r}" in message
        assert "choose one of text, late_fusion" in message


@pytest.mark.parametrize(
    ("content", "message"), [(None, "is not a file"), (b"not an image", "a.jpg cannot be used")]
)
def test_an_unusable_image_ends_with_2(tmp_path, capsys, content, message):
    if content:
        (tmp_path / "a.jpg").write_bytes(content)
    assert run("--title", "t", "--image", tmp_path / "a.jpg") == 2
    assert message in capsys.readouterr().err


def test_bars_are_drawn_in_eighths_of_a_character():
    assert predict_command.format_bar(1.0, blocks=True) == "█" * predict_command.BAR
    assert predict_command.format_bar(0.5 / predict_command.BAR, blocks=True) == "▌"
    assert predict_command.format_bar(0.0, blocks=True) == ""
    assert predict_command.format_bar(0.5, blocks=False) == "#" * (predict_command.BAR // 2)


@pytest.mark.parametrize(
    ("probability", "shown"),
    [(1.0, "100.0%"), (0.9997, ">99.9%"), (0.9994, "99.9%"), (0.1, "10.0%")],
)
def test_a_probability_below_1_is_not_shown_as_certain(probability, shown):
    found = ToyClassifier().predict_one(Product("Piscine"), 1)
    found = replace(found, top=(replace(found.top[0], probability=probability),))
    line = predict_command.format_prediction(found, as_json=False, blocks=True).splitlines()[0]
    assert f" {shown} " in line

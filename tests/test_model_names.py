import re

import pytest

from rakuten import model_names


def test_every_model_has_its_own_name_titles_and_a_colour():
    for field in ("name", "title", "title_fr"):
        values = [getattr(model, field) for model in model_names.TABLE]
        assert all(values)
        assert len(set(values)) == len(values)
    for model in model_names.TABLE:
        assert re.fullmatch(r"#[0-9a-f]{6}", model.colour)
        assert model.modality in ("text", "image", "fusion")
        assert model.role in ("study", "ensemble", "baseline")


def test_names_of_baselines_begin_with_the_net_whose_stage_fits_them():
    for model in model_names.TABLE:
        assert model.name == model.stage or model.name.startswith(f"{model.stage}_")


def test_models_with_a_stage_of_their_own_are_named_after_it():
    assert set(model_names.BY_STAGE) >= set(model_names.MAIN)
    assert all(stage == name for stage, name in model_names.BY_STAGE.items())


def test_a_model_is_found_by_role_and_modality():
    assert model_names.named("ensemble", "fusion") == "late_fusion"
    with pytest.raises(KeyError, match="no model with role 'baseline' and modality 'sound'"):
        model_names.named("baseline", "sound")


def test_a_model_that_is_not_in_the_table_keeps_its_name():
    assert model_names.title("text") == "Text net"
    assert model_names.title("text", "fr") == "Réseau texte"
    assert model_names.title("another", "fr") == "another"

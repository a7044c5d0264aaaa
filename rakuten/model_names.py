"""The one table of all models: name, modality, stage, titles, role, colour.

To add a model, add a row to `TABLE`. Reports, MLflow and the demo list models in this order.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Model:
    """One model.

    Attributes:
        name: Its key in files, tables, MLflow and the command line.
        modality: "text", "image" or "fusion".
        stage: The stage of `dvc.yaml` that trains it.
        title: Display name in English.
        title_fr: Display name in French.
        role: "study" (a net of the original study; `rakuten.evaluation.published` has the
            published figures), "ensemble" or "baseline".
        colour: Colour in charts, "#rrggbb", from a palette safe for colour-blind readers (Okabe
            and Ito, 2008).
    """

    name: str
    modality: str
    stage: str
    title: str
    title_fr: str
    role: str
    colour: str


TABLE = (
    Model("text", "text", "text", "Text net", "Réseau texte", "study", "#0072b2"),
    Model("text_logistic_regression", "text", "text", "Logistic regression on text",
          "Régression logistique, texte", "baseline", "#99c7e0"),
    Model("text_linear_svm", "text", "text", "Linear SVM on text",
          "SVM linéaire, texte", "baseline", "#99c7e0"),
    Model("text_naive_bayes", "text", "text", "Naive Bayes on text",
          "Bayes naïf, texte", "baseline", "#99c7e0"),
    Model("image", "image", "image", "Image net", "Réseau image", "study", "#d55e00"),
    Model("image_logistic_regression", "image", "image", "Logistic regression on images",
          "Régression logistique, image", "baseline", "#eebf99"),
    Model("image_random_forest", "image", "image", "Random forest on images",
          "Forêt aléatoire, image", "baseline", "#eebf99"),
    Model("fusion", "fusion", "fusion", "Fusion net", "Réseau fusion", "study", "#009e73"),
    Model("fusion_net_ensemble", "fusion", "fusion", "Ensemble of both nets",
          "Ensemble des deux réseaux", "baseline", "#99d8c7"),
    Model("text_ensemble", "text", "text_ensemble", "Text ensemble",
          "Ensemble texte", "ensemble", "#00456b"),
    Model("image_ensemble", "image", "image_ensemble", "Image ensemble",
          "Ensemble image", "ensemble", "#803800"),
    Model("late_fusion", "fusion", "late_fusion", "Late fusion",
          "Fusion tardive", "ensemble", "#005f45"),
)  # fmt: skip
"""The models in the order of the reports: each net, its baselines, then the ensembles."""

BY_NAME = {model.name: model for model in TABLE}

BY_STAGE = {model.stage: model.name for model in TABLE if model.stage == model.name}
"""The models that are named like their stage, by stage. A net's stage also fits its baselines."""

STUDY = tuple(model.name for model in TABLE if model.role == "study")
"""The nets of the original study."""

ENSEMBLES = tuple(model.name for model in TABLE if model.role == "ensemble")
"""The ensembles; their scores of train rows are out of fold."""

MAIN = STUDY + ENSEMBLES
"""All models but the baselines: reports show them in detail, `metrics.json` has only these."""


def named(role: str, modality: str) -> str:
    """Find the model of a role and a modality, e.g. "ensemble" and "text".

    Returns:
        The name of the first such model in `TABLE`.

    Raises:
        KeyError: If there is none.
    """
    for model in TABLE:
        if (model.role, model.modality) == (role, modality):
            return model.name
    raise KeyError(
        f"no model with role {role!r} and modality {modality!r}: rakuten/model_names.py has "
        f"{', '.join(BY_NAME)}"
    )


def title(name: str, language: str = "en") -> str:
    """Look up the title of a model in "fr" or "en"; a model not in `TABLE` keeps its name."""
    if name not in BY_NAME:
        return name
    return BY_NAME[name].title_fr if language == "fr" else BY_NAME[name].title

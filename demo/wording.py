"""Every word of the page, in French and English, and how numbers are written."""

import re

LANGUAGES = {"fr": "Français", "en": "English"}
"""By code, the first one first."""

TEXTS: dict[str, dict[str, str]] = {
    # the page
    "page_title": {"fr": "Classer un produit", "en": "Classify a product"},
    "page_lead": {
        "fr": "Un titre, une description, une photo : le modèle propose l'une des 27 catégories "
        "de Rakuten France et montre pourquoi.",
        "en": "A title, a description, a picture: the model proposes one of the 27 categories of "
        "Rakuten France and shows why.",
    },
    "language": {"fr": "Langue de la page", "en": "Language of the page"},
    "synthetic": {
        "fr": "Données d'exemple. Les produits sont synthétiques : ni les produits ni les chiffres "
        "de cette page ne sont ceux de Rakuten.",
        "en": "Sample data. The products are synthetic: neither the products nor the figures on "
        "this page are Rakuten's.",
    },
    "dataset": {"fr": "Données : {name}.", "en": "Data: {name}."},
    "tab_classify": {"fr": "Classer", "en": "Classify"},
    "tab_compare": {"fr": "Comparer les modèles", "en": "Compare models"},
    "tab_confusions": {"fr": "Confusions", "en": "Hardest confusions"},
    "missing_build": {
        "fr": "Le modèle n'est pas encore construit : il manque {files}. Lancez « make repro » "
        "dans le dossier du projet, puis rechargez cette page.",
        "en": "The model has not been built yet: {files} is not there. Run 'make repro' in the "
        "project's folder, then reload this page.",
    },
    "missing_reports": {
        "fr": "Les résultats manquent : {files}. Lancez « make repro » dans le dossier du projet, "
        "puis rechargez cette page.",
        "en": "The results are missing: {files}. Run 'make repro' in the project's folder, then "
        "reload this page.",
    },
    # input
    "samples": {"fr": "Essayer un exemple", "en": "Try an example"},
    "samples_help": {
        "fr": "Produits du jeu de test, que le modèle n'a jamais vus.",
        "en": "Products of the test set, which the model has never seen.",
    },
    "own": {"fr": "Votre produit", "en": "Your product"},
    "title": {"fr": "Titre", "en": "Title"},
    "title_placeholder": {
        "fr": "Piscine hors sol ronde 3,60 m",
        "en": "Piscine hors sol ronde 3,60 m",
    },
    "description": {"fr": "Description (facultative)", "en": "Description (optional)"},
    "picture": {
        "fr": "Photo (facultative) : JPEG, PNG ou WebP, 10 Mo au plus",
        "en": "Picture (optional): JPEG, PNG or WebP, at most 10 MB",
    },
    "choose_file": {"fr": "Choisir une photo", "en": "Choose a picture"},
    "sample_picture": {
        "fr": "Garder la photo de l'exemple",
        "en": "Keep the example's picture",
    },
    "sample_picture_alt": {"fr": "Photo de l'exemple", "en": "Picture of the example"},
    "submit": {"fr": "Classer", "en": "Classify"},
    "kind_group": {"fr": "{group}", "en": "{group}"},
    "kind_plain": {"fr": "Cas simple", "en": "Plain case"},
    "kind_no_description": {"fr": "Sans description", "en": "No description"},
    "kind_no_picture": {"fr": "Sans photo", "en": "No picture"},
    "kind_wrong": {"fr": "Le modèle se trompe", "en": "The model is wrong"},
    # faults
    "fault_nothing": {
        "fr": "Rien à classer : donnez un titre, une description ou une photo.",
        "en": "Nothing to classify: give a title, a description or a picture.",
    },
    "fault_too_large": {
        "fr": "« {name} » pèse {size} Mo, 10 Mo au plus sont acceptés : réduisez la photo.",
        "en": "'{name}' is {size} MB, at most 10 MB are accepted: make the picture smaller.",
    },
    "fault_wrong_type": {
        "fr": "« {name} » n'est pas une photo JPEG, PNG ou WebP : choisissez un autre fichier.",
        "en": "'{name}' is not a JPEG, PNG or WebP picture: choose another file.",
    },
    "fault_broken": {
        "fr": "« {name} » est abîmé ou incomplet et ne peut être lu : enregistrez la photo de "
        "nouveau ou choisissez-en une autre.",
        "en": "'{name}' is damaged or cut short and cannot be read: save the picture again or "
        "choose another one.",
    },
    "fault_pixels": {
        "fr": "« {name} » a trop de pixels, 25 millions au plus sont acceptés : réduisez la photo.",
        "en": "'{name}' has too many pixels, at most 25 million are accepted: make it smaller.",
    },
    "fault_other": {
        "fr": "Ce produit n'a pas pu être classé : {reason}",
        "en": "This product could not be classified: {reason}",
    },
    # answer
    "answer_waits": {
        "fr": "La réponse apparaît ici : choisissez un exemple ou décrivez votre produit.",
        "en": "The answer appears here: choose an example or describe your product.",
    },
    "working": {"fr": "Le modèle lit le produit…", "en": "The model reads the product…"},
    "loading": {
        "fr": "Le modèle se charge, quelques secondes la première fois…",
        "en": "The model is loading, a few seconds the first time…",
    },
    "answer": {"fr": "Réponse", "en": "Answer"},
    "code": {"fr": "code {code}", "en": "code {code}"},
    "confidence_high": {"fr": "Très sûr", "en": "Very sure"},
    "confidence_good": {"fr": "Assez sûr", "en": "Fairly sure"},
    "confidence_low": {"fr": "Hésitant", "en": "Hesitant"},
    "confidence_poor": {"fr": "Très incertain", "en": "Very unsure"},
    "top": {"fr": "Les cinq catégories les plus probables", "en": "The five likeliest categories"},
    "truth_right": {
        "fr": "Juste : la vraie catégorie est {category} ({code}).",
        "en": "Right: the true category is {category} ({code}).",
    },
    "truth_wrong": {
        "fr": "Faux : la vraie catégorie est {category} ({code}).",
        "en": "Wrong: the true category is {category} ({code}).",
    },
    # reasons
    "shares": {"fr": "Texte ou photo ?", "en": "Text or picture?"},
    "shares_note": {
        "fr": "En nats, par rapport à une catégorie moyenne : +1 nat multiplie les chances par "
        "2,7, \N{MINUS SIGN}1 nat les divise d'autant.",
        "en": "In nats, against the average category: +1 nat multiplies the odds by 2.7, "
        "\N{MINUS SIGN}1 nat divides them by as much.",
    },
    "side_text": {"fr": "Texte", "en": "Text"},
    "side_image": {"fr": "Photo", "en": "Picture"},
    "against": {"fr": "contre", "en": "against"},
    "for": {"fr": "pour", "en": "for"},
    "not_given": {"fr": "absente", "en": "not given"},
    "not_given_text": {"fr": "absent", "en": "not given"},
    "nats": {"fr": "{value} nats", "en": "{value} nats"},
    "speaks_strong": {
        "fr": "{side} parle nettement pour cette catégorie",
        "en": "{side} speaks clearly for this category",
    },
    "speaks_for": {
        "fr": "{side} parle pour cette catégorie",
        "en": "{side} speaks for this category",
    },
    "speaks_hardly": {
        "fr": "{side} ne dit presque rien",
        "en": "{side} says hardly anything",
    },
    "speaks_against": {
        "fr": "{side} parle contre cette catégorie",
        "en": "{side} speaks against this category",
    },
    "speaks_too": {"fr": "{side} aussi", "en": "so does {side}"},
    "speaks_absent_text": {"fr": "il n'y a pas de texte", "en": "there is no text"},
    "speaks_absent_image": {"fr": "il n'y a pas de photo", "en": "there is no picture"},
    "the_text": {"fr": "le texte", "en": "the text"},
    "the_image": {"fr": "la photo", "en": "the picture"},
    "joined": {"fr": "{first} ; {second}.", "en": "{first}; {second}."},
    "words": {"fr": "Quels mots ont compté", "en": "Which words counted"},
    "words_note": {
        "fr": "Chaque mot est retiré à son tour ; l'effet dit combien de nats la première "
        "catégorie y perd. Trait plein : pour ; pointillé : contre.",
        "en": "Each word is left out in turn; the effect says how many nats the first category "
        "loses by it. Solid underline: for; dotted: against.",
    },
    "words_limited": {
        "fr": "Seuls les {count} premiers mots ont été examinés.",
        "en": "Only the first {count} words were examined.",
    },
    "words_none": {"fr": "Il n'y a pas de mot à examiner.", "en": "There are no words to examine."},
    "word": {"fr": "Mot", "en": "Word"},
    "effect": {"fr": "Effet (nats)", "en": "Effect (nats)"},
    "where": {"fr": "Dans", "en": "In"},
    "direction": {"fr": "Sens", "en": "Direction"},
    "words_working": {"fr": "Examen des mots…", "en": "Examining the words…"},
    "regions": {
        "fr": "Quelle partie de la photo a compté",
        "en": "Which part of the picture counted",
    },
    "regions_note": {
        "fr": "Chaque case est cachée à son tour. Bleu-vert : la case parle pour la catégorie ; "
        "orange : contre. Les cases numérotées comptent le plus.",
        "en": "Each cell is hidden in turn. Teal: the cell speaks for the category; orange: "
        "against it. The numbered cells count most.",
    },
    "regions_working": {
        "fr": "La photo est examinée : {done} cases sur {total}",
        "en": "Examining the picture: {done} of {total} cells",
    },
    "regions_none": {
        "fr": "Il n'y a pas de photo à examiner.",
        "en": "There is no picture to examine.",
    },
    "regions_faint": {
        "fr": "Aucune case ne compte seule : la photo agit dans son ensemble, ou le texte suffit.",
        "en": "No cell counts alone: the picture acts as a whole, or the text suffices.",
    },
    "regions_alt": {
        "fr": "La photo du produit, les cases qui comptent sont teintées et numérotées",
        "en": "The product's picture, the cells that count tinted and numbered",
    },
    "region": {"fr": "Case", "en": "Cell"},
    "place_00": {"fr": "en haut à gauche", "en": "top left"},
    "place_01": {"fr": "en haut au milieu", "en": "top middle"},
    "place_02": {"fr": "en haut à droite", "en": "top right"},
    "place_10": {"fr": "au milieu à gauche", "en": "middle left"},
    "place_11": {"fr": "au centre", "en": "centre"},
    "place_12": {"fr": "au milieu à droite", "en": "middle right"},
    "place_20": {"fr": "en bas à gauche", "en": "bottom left"},
    "place_21": {"fr": "en bas au milieu", "en": "bottom middle"},
    "place_22": {"fr": "en bas à droite", "en": "bottom right"},
    # similar products
    "similar": {"fr": "Produits semblables", "en": "Similar products"},
    "similar_note": {
        "fr": "Les plus proches parmi les produits d'entraînement.",
        "en": "The nearest among the training products.",
    },
    "similar_text": {"fr": "Par le texte", "en": "By text"},
    "similar_image": {"fr": "Par la photo", "en": "By picture"},
    "similar_none_text": {
        "fr": "Sans texte, pas de comparaison.",
        "en": "Without a text there is nothing to compare.",
    },
    "similar_none_image": {
        "fr": "Sans photo, pas de comparaison.",
        "en": "Without a picture there is nothing to compare.",
    },
    "similarity": {"fr": "ressemblance {value}", "en": "similarity {value}"},
    "no_picture": {"fr": "sans photo", "en": "no picture"},
    "no_title": {"fr": "(sans titre)", "en": "(no title)"},
    # compare
    "metrics": {"fr": "Tous les modèles", "en": "All models"},
    "metrics_note": {
        "fr": "Sur les {rows} produits du jeu de test. La meilleure valeur de chaque colonne "
        "est en gras. « Publié » : l'étude d'origine, sur les vraies données.",
        "en": "On the {rows} products of the test set. The best value of each column is bold. "
        "'Published': the original study, on the real data.",
    },
    "model": {"fr": "Modèle", "en": "Model"},
    "accuracy": {"fr": "Exactitude", "en": "Accuracy"},
    "weighted_f1": {"fr": "F1 pondéré", "en": "Weighted F1"},
    "macro_f1": {"fr": "F1 macro", "en": "Macro F1"},
    "log_loss": {"fr": "Perte logarithmique", "en": "Log loss"},
    "ece": {"fr": "Erreur de calibration", "en": "Calibration error"},
    "published": {"fr": "Publié", "en": "Published"},
    "choose_model": {"fr": "Modèle à examiner", "en": "Model to examine"},
    "choose_group": {"fr": "Catégories", "en": "Categories"},
    "all_categories": {"fr": "Toutes les 27", "en": "All 27"},
    "confusion": {"fr": "Matrice de confusion", "en": "Confusion matrix"},
    "confusion_note": {
        "fr": "Ligne : vraie catégorie ; colonne : catégorie prédite ; teinte : part de la ligne.",
        "en": "Row: true category; column: predicted category; shade: share of the row.",
    },
    "actual": {"fr": "Vraie catégorie", "en": "True category"},
    "predicted": {"fr": "Catégorie prédite", "en": "Predicted category"},
    "rows": {"fr": "Produits", "en": "Products"},
    "share": {"fr": "Part", "en": "Share"},
    "main_errors": {"fr": "Erreurs les plus fréquentes", "en": "Most frequent errors"},
    "no_errors": {"fr": "Aucune erreur ici.", "en": "No errors here."},
    "per_category": {"fr": "F1 par catégorie", "en": "F1 of each category"},
    "per_category_note": {
        "fr": "100 % : tous trouvés, sans erreur. Là où une catégorie a peu de produits de test, "
        "un écart de quelques points ne prouve rien.",
        "en": "100%: all found, no error. Where a category has few test products, a gap of a few "
        "points proves nothing.",
    },
    "category": {"fr": "Catégorie", "en": "Category"},
    "reliability": {"fr": "Fiabilité des probabilités", "en": "How far to trust probabilities"},
    "reliability_note": {
        "fr": "Sur la diagonale, un modèle a raison aussi souvent qu'il l'annonce ; au-dessous, il "
        "est trop sûr de lui.",
        "en": "On the diagonal a model is right as often as it claims; below it, it is too sure "
        "of itself.",
    },
    "confidence": {"fr": "Probabilité annoncée", "en": "Claimed probability"},
    "choose_models": {"fr": "Modèles comparés", "en": "Models compared"},
    "curves": {"fr": "Courbes d'apprentissage", "en": "Training curves"},
    "curves_note": {
        "fr": "Les trois réseaux de l'étude. Trait plein : entraînement ; tirets : validation.",
        "en": "The study's three nets. Solid: training; dashed: validation.",
    },
    "epoch": {"fr": "Époque", "en": "Epoch"},
    "loss": {"fr": "Perte", "en": "Loss"},
    "part": {"fr": "Partie", "en": "Part"},
    "train": {"fr": "entraînement", "en": "training"},
    "validation": {"fr": "validation", "en": "validation"},
    # confusions
    "pairs": {"fr": "Les paires les plus confondues", "en": "The pairs confused most"},
    "pairs_note": {
        "fr": "Erreurs de la meilleure fusion sur le jeu de test, dans les deux sens, avec des "
        "exemples : {errors} erreurs sur {rows} produits.",
        "en": "Errors of the best fusion on the test set, in both directions, with examples: "
        "{errors} errors on {rows} products.",
    },
    "one_error": {"fr": "1 erreur", "en": "1 error"},
    "many_errors": {"fr": "{count} erreurs", "en": "{count} errors"},
    "pair": {"fr": "{first} et {second}", "en": "{first} and {second}"},
    "true_is": {"fr": "Vraie : {category}", "en": "True: {category}"},
    "said_is": {
        "fr": "Prédite : {category}, {probability}",
        "en": "Predicted: {category}, {probability}",
    },
    "pairs_none": {
        "fr": "Le modèle ne s'est trompé sur aucun produit de test.",
        "en": "The model was wrong on no test product.",
    },
}
"""By key, then by language."""

_NO_BREAK = "\N{NO-BREAK SPACE}"
_FRENCH_SPACE = re.compile(r"(?<=«) | (?=[:;?!»])")


def say(key: str, language: str, **values: object) -> str:
    """Write a text of the page, its blanks filled in; French marks stay with their words."""
    text = TEXTS[key][language].format(**values)
    return _FRENCH_SPACE.sub(_NO_BREAK, text) if language == "fr" else text


def number(value: float, language: str, *, digits: int = 2, sign: bool = False) -> str:
    """Write a number: a decimal comma in French, a true minus sign, "-" where there is none."""
    if value != value:  # NaN
        return "-"
    written = f"{value:{'+' if sign else ''}.{digits}f}"
    if not float(written):
        written = written.replace("-", "").replace("+", "")
    written = written.replace("-", "\N{MINUS SIGN}")
    return written.replace(".", ",") if language == "fr" else written


def percent(value: float, language: str, *, digits: int = 0) -> str:
    """Write a share as a percentage, "-" where there is none; only what is all reads 100 %."""
    if value != value:
        return "-"
    most = 100 - 10.0**-digits if digits else 99
    if 1 - 0.5 * 10.0 ** -(digits + 2) <= value < 1:
        return f">{percent(most / 100, language, digits=digits)}"
    if 0 < value < 0.5 * 10.0 ** -(digits + 2):
        least = number(10.0**-digits, language, digits=digits)
        return f"<{least}{_NO_BREAK}%" if language == "fr" else f"<{least}%"
    space = _NO_BREAK if language == "fr" else ""
    return f"{number(100 * value, language, digits=digits)}{space}%"

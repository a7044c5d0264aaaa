"""All texts of the page in French and English, and the format of numbers."""

import re

LANGUAGES = {"fr": "Français", "en": "English"}
"""Names by code; the first is the default."""

TEXTS: dict[str, dict[str, str]] = {
    # the page
    "page_title": {"fr": "Classer un produit", "en": "Classify a product"},
    "page_lead": {
        "fr": "Titre, description ou photo : le modèle prédit l'une des 27 catégories de Rakuten "
        "France.",
        "en": "Title, description or image: the model predicts one of the 27 categories of "
        "Rakuten France.",
    },
    "language": {"fr": "Langue de la page", "en": "Language of the page"},
    "synthetic": {
        "fr": "Données d'exemple : produits synthétiques, résultats qui ne sont pas ceux de "
        "Rakuten.",
        "en": "Sample data: synthetic products, results that are not Rakuten's.",
    },
    "dataset": {"fr": "Données : {name}.", "en": "Data: {name}."},
    "tab_classify": {"fr": "Classer", "en": "Classify"},
    "tab_compare": {"fr": "Comparer les modèles", "en": "Compare models"},
    "tab_confusions": {"fr": "Confusions fréquentes", "en": "Frequent confusions"},
    "tab_review": {"fr": "Vérifier les étiquettes", "en": "Review labels"},
    "missing_build": {
        "fr": "Le modèle n'est pas encore entraîné : il manque {files}. Lancez « make repro » "
        "dans le dossier du projet, puis rechargez cette page.",
        "en": "The model has not been trained yet: missing {files}. Run “make repro” in the "
        "project's folder, then reload this page.",
    },
    "rebuilding": {
        "fr": "DVC est en train de recalculer {files}. Cette page s'affichera ensuite d'elle-même.",
        "en": "DVC is rebuilding {files}. This page will then appear by itself.",
    },
    "unreadable": {
        "fr": "Les fichiers ne peuvent pas être ouverts : {reason}",
        "en": "The files cannot be opened: {reason}",
    },
    "missing_reports": {
        "fr": "Les résultats manquent : {files}. Lancez « make repro » dans le dossier du projet, "
        "puis rechargez cette page.",
        "en": "The results are missing: {files}. Run “make repro” in the project's folder, then "
        "reload this page.",
    },
    # input
    "examples": {"fr": "Ou essayez un exemple", "en": "Or try an example"},
    "title": {"fr": "Titre", "en": "Title"},
    "title_placeholder": {
        "fr": "Piscine hors sol ronde 3,60 m",
        "en": "Piscine hors sol ronde 3,60 m",
    },
    "description": {"fr": "Description (facultative)", "en": "Description (optional)"},
    "image": {
        "fr": "Photo (facultative) : JPEG, PNG ou WebP, 10 Mo au plus",
        "en": "Image (optional): JPEG, PNG or WebP, at most 10 MB",
    },
    "choose_file": {"fr": "Choisir une photo", "en": "Choose an image"},
    "example_image": {
        "fr": "Garder la photo de l'exemple",
        "en": "Keep the image of the example",
    },
    "example_image_alt": {"fr": "Photo de l'exemple", "en": "Image of the example"},
    "submit": {"fr": "Classer", "en": "Classify"},
    "clear": {"fr": "Effacer", "en": "Clear"},
    "kind_group": {"fr": "{group}", "en": "{group}"},
    "kind_plain": {"fr": "Cas simple", "en": "Easy case"},
    "kind_no_description": {"fr": "Sans description", "en": "No description"},
    "kind_no_image": {"fr": "Sans photo", "en": "No image"},
    "kind_wrong": {"fr": "Erreur du modèle", "en": "Model error"},
    # errors
    "error_nothing": {
        "fr": "Rien à classer : saisissez un titre, une description ou une photo.",
        "en": "Nothing to classify: enter a title, a description or an image.",
    },
    "error_too_large": {
        "fr": "« {name} » pèse {size} Mo, le maximum est de 10 Mo : réduisez la photo.",
        "en": "“{name}” is {size} MB, the maximum is 10 MB: use a smaller image.",
    },
    "error_wrong_type": {
        "fr": "« {name} » n'est pas une photo JPEG, PNG ou WebP : choisissez un autre fichier.",
        "en": "“{name}” is not a JPEG, PNG or WebP image: choose another file.",
    },
    "error_broken": {
        "fr": "« {name} » est corrompu ou incomplet : enregistrez la photo de nouveau ou "
        "choisissez-en une autre.",
        "en": "“{name}” is damaged or incomplete: save the image again or choose another one.",
    },
    "error_pixels": {
        "fr": "« {name} » a trop de pixels, le maximum est de 25 millions : réduisez la photo.",
        "en": "“{name}” has too many pixels, the maximum is 25 million: use a smaller image.",
    },
    "error_other": {
        "fr": "Ce produit n'a pas pu être classé : {reason}",
        "en": "This product could not be classified: {reason}",
    },
    # answer
    "answer_waits": {
        "fr": "La prédiction apparaît ici : choisissez un exemple ou décrivez votre produit.",
        "en": "The prediction appears here: choose an example or describe your product.",
    },
    "uploading": {"fr": "Envoi de la photo…", "en": "Uploading the image…"},
    "subject": {"fr": "« {title} »", "en": "“{title}”"},
    "subject_example": {"fr": "Exemple : « {title} »", "en": "Example: “{title}”"},
    "subject_image": {"fr": "Photo sans texte", "en": "Image without text"},
    "no_clear_category": {"fr": "Pas de catégorie nette", "en": "No clear category"},
    "most_probable": {
        "fr": "la plus probable : {category} ({code})",
        "en": "most probable: {category} ({code})",
    },
    "working": {"fr": "Classification en cours…", "en": "Classifying the product…"},
    "loading": {
        "fr": "Chargement du modèle, quelques secondes la première fois…",
        "en": "Loading the model, a few seconds the first time…",
    },
    "answer": {"fr": "Prédiction", "en": "Prediction"},
    "compare_with": {"fr": "Comparer avec un autre modèle", "en": "Compare with another model"},
    "model_loading": {"fr": "Chargement : {model}…", "en": "Loading: {model}…"},
    "code": {"fr": "code {code}", "en": "code {code}"},
    "confidence_high": {"fr": "Confiance très forte", "en": "Very high confidence"},
    "confidence_good": {"fr": "Confiance forte", "en": "High confidence"},
    "confidence_low": {"fr": "Confiance moyenne", "en": "Medium confidence"},
    "confidence_poor": {"fr": "Confiance faible", "en": "Low confidence"},
    "top": {
        "fr": "Les cinq catégories les plus probables",
        "en": "The five most probable categories",
    },
    "truth": {
        "fr": "Produit du jeu de test. Vraie catégorie : {category} ({code}).",
        "en": "Product of the test set. True category: {category} ({code}).",
    },
    "evaluated_right": {
        "fr": "Le modèle évalué, entraîné sans ce produit, prédit aussi cette catégorie : "
        "{probability}.",
        "en": "The evaluated model, trained without this product, predicts this category too: "
        "{probability}.",
    },
    "evaluated_wrong": {
        "fr": "Le modèle évalué, entraîné sans ce produit, se trompe : {category} ({code}), "
        "{probability}.",
        "en": "The evaluated model, trained without this product, is wrong: {category} ({code}), "
        "{probability}.",
    },
    # explanation
    "contributions_of": {
        "fr": "Contributions du texte et de la photo : {category}",
        "en": "Contributions of text and image: {category}",
    },
    "fitted_all": {
        "fr": "Ajustement sur tous les produits, exemples compris",
        "en": "Fitted on all products, the examples included",
    },
    "fitted_train": {
        "fr": "Ajustement sur la partie d'entraînement, sans les exemples",
        "en": "Fitted on the train part, without the examples",
    },
    "contributions_model": {"fr": "Modèle : {model}.", "en": "Model: {model}."},
    "contributions_note": {
        "fr": "Log-cotes par rapport à une catégorie moyenne, même échelle pour tous les produits. "
        "+1 multiplie la cote de la catégorie par 2,7.",
        "en": "Log-odds compared with an average category, on the same scale for every product. "
        "+1 multiplies the odds of the category by 2.7.",
    },
    "side_text": {"fr": "Texte", "en": "Text"},
    "side_image": {"fr": "Photo", "en": "Image"},
    "against": {"fr": "contre", "en": "against"},
    "for": {"fr": "pour", "en": "for"},
    "not_given": {"fr": "absente", "en": "not given"},
    "not_given_text": {"fr": "absent", "en": "not given"},
    "evidence_strong": {
        "fr": "{side} indique nettement cette catégorie",
        "en": "{side} is strong evidence for this category",
    },
    "evidence_for": {
        "fr": "{side} indique cette catégorie",
        "en": "{side} is evidence for this category",
    },
    "evidence_hardly": {
        "fr": "{side} ne permet pas de trancher",
        "en": "{side} is neutral",
    },
    "evidence_against": {
        "fr": "{side} indique une autre catégorie",
        "en": "{side} is evidence against this category",
    },
    "evidence_too": {"fr": "{side} aussi", "en": "so is {side}"},
    "evidence_absent_text": {"fr": "il n'y a pas de texte", "en": "there is no text"},
    "evidence_absent_image": {"fr": "il n'y a pas de photo", "en": "there is no image"},
    "the_text": {"fr": "le texte", "en": "the text"},
    "the_image": {"fr": "la photo", "en": "the image"},
    "joined": {"fr": "{first} ; {second}.", "en": "{first}; {second}."},
    "words": {"fr": "Effet des mots", "en": "Effect of words"},
    "words_note": {
        "fr": "Les mots sont retirés un par un. L'effet est la baisse de la log-cote de la "
        "catégorie. Trait plein : pour ; pointillé : contre ; sans trait : moins de {least}.",
        "en": "Words are removed one at a time. The effect is the decrease of the category's "
        "log-odds. Solid underline: for; dotted: against; none: less than {least}.",
    },
    "words_faint": {
        "fr": "Aucun mot n'a à lui seul un effet notable.",
        "en": "No single word has a notable effect.",
    },
    "words_limited": {
        "fr": "Seuls les {count} premiers mots ont été analysés.",
        "en": "Only the first {count} words were analysed.",
    },
    "words_none": {"fr": "Il n'y a pas de mot à analyser.", "en": "There are no words to analyse."},
    "word": {"fr": "Mot", "en": "Word"},
    "effect": {"fr": "Effet (log-cote)", "en": "Effect (log-odds)"},
    "where": {"fr": "Champ", "en": "Field"},
    "direction": {"fr": "Sens", "en": "Direction"},
    "words_working": {"fr": "Analyse des mots…", "en": "Analysing the words…"},
    "regions": {
        "fr": "Effet des zones de la photo",
        "en": "Effect of image regions",
    },
    "regions_note": {
        "fr": "Les zones sont masquées une par une. Bleu-vert : pour la catégorie ; orange : "
        "contre. Les zones encadrées ont le plus d'effet.",
        "en": "Regions are masked one at a time. Teal: for the category; orange: against it. The "
        "outlined regions have the largest effects.",
    },
    "regions_working": {
        "fr": "Analyse de la photo : {done} zones sur {total}",
        "en": "Analysing the image: {done} of {total} regions",
    },
    "regions_none": {
        "fr": "Il n'y a pas de photo à analyser.",
        "en": "There is no image to analyse.",
    },
    "regions_faint": {
        "fr": "Aucune zone n'a à elle seule un effet notable.",
        "en": "No single region has a notable effect.",
    },
    "regions_alt": {
        "fr": "Photo du produit ; les zones qui ont un effet sont colorées",
        "en": "The product's image; regions that have an effect are coloured",
    },
    "region": {"fr": "Zone", "en": "Region"},
    "cell": {"fr": "{cell}, {place}", "en": "{cell}, {place}"},
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
    "similar": {"fr": "Produits similaires", "en": "Similar products"},
    "similar_note": {
        "fr": "Les produits d'entraînement les plus similaires.",
        "en": "The most similar training products.",
    },
    "similar_text": {"fr": "Par le texte", "en": "By text"},
    "similar_image": {"fr": "Par la photo", "en": "By image"},
    "similar_none_text": {
        "fr": "Sans texte, pas de comparaison.",
        "en": "No text, so there is nothing to compare.",
    },
    "similar_none_image": {
        "fr": "Sans photo, pas de comparaison.",
        "en": "No image, so there is nothing to compare.",
    },
    "similarity": {"fr": "similarité {value}", "en": "similarity {value}"},
    "no_image": {"fr": "sans photo", "en": "no image"},
    "no_title": {"fr": "(sans titre)", "en": "(no title)"},
    # compare
    "metrics": {"fr": "Tous les modèles", "en": "All models"},
    "metrics_note": {
        "fr": "Sur les {rows} produits du jeu de test : {data}. La meilleure valeur de chaque "
        "colonne est en gras.",
        "en": "On the {rows} products of the test set: {data}. The best value of each column is "
        "bold.",
    },
    "data_sample": {"fr": "échantillon synthétique", "en": "synthetic sample"},
    "gauge": {"fr": "L'étude d'origine", "en": "The original study"},
    "gauge_sample": {
        "fr": "Exactitude de ses trois réseaux. Les deux blocs ne se comparent pas : les "
        "produits de l'échantillon sont synthétiques et peu nombreux.",
        "en": "Accuracy of its three nets. The two panels cannot be compared: the sample's "
        "products are synthetic and few.",
    },
    "gauge_data": {
        "fr": "Exactitude de ses trois réseaux. Les deux blocs ne reposent pas sur les mêmes "
        "produits de test : un écart de quelques points n'a pas de sens.",
        "en": "Accuracy of its three nets. The two panels are not measured on the same test "
        "products: a difference of a few points has no meaning.",
    },
    "gauge_published": {
        "fr": "Publié : {rows} vrais produits de test de Rakuten",
        "en": "Published: {rows} real test products of Rakuten",
    },
    "gauge_here": {
        "fr": "Mesuré ici : {rows} produits de test, {data}",
        "en": "Measured here: {rows} test products, {data}",
    },
    "gauge_interval": {
        "fr": "Segment : intervalle de confiance à 95 %.",
        "en": "Segment: 95% confidence interval.",
    },
    "interval": {"fr": "{value} ({low} à {high})", "en": "{value} ({low} to {high})"},
    "model": {"fr": "Modèle", "en": "Model"},
    "accuracy": {"fr": "Exactitude", "en": "Accuracy"},
    "weighted_f1": {"fr": "F1 pondéré", "en": "Weighted F1"},
    "macro_f1": {"fr": "F1 macro", "en": "Macro F1"},
    "log_loss": {"fr": "Perte logarithmique", "en": "Log loss"},
    "ece": {"fr": "Erreur de calibration", "en": "Calibration error"},
    "choose_model": {"fr": "Modèle affiché", "en": "Model shown"},
    "choose_group": {"fr": "Catégories", "en": "Categories"},
    "all_categories": {"fr": "Toutes les 27", "en": "All 27"},
    "confusion": {"fr": "Matrice de confusion", "en": "Confusion matrix"},
    "confusion_note": {
        "fr": "Ligne : vraie catégorie ; colonne : catégorie prédite ; couleur : part de la ligne.",
        "en": "Row: true category; column: predicted category; colour: share of the row.",
    },
    "actual": {"fr": "Vraie catégorie", "en": "True category"},
    "predicted": {"fr": "Catégorie prédite", "en": "Predicted category"},
    "rows": {"fr": "Produits", "en": "Products"},
    "share": {"fr": "Part", "en": "Share"},
    "main_errors": {"fr": "Erreurs les plus fréquentes", "en": "Most frequent errors"},
    "no_errors": {"fr": "Aucune erreur ici.", "en": "No errors here."},
    "per_category": {"fr": "F1 par catégorie", "en": "F1 per category"},
    "per_category_note": {
        "fr": "100 % : aucune erreur. Pour une catégorie qui a peu de produits de test, un écart "
        "de quelques points n'est pas significatif.",
        "en": "100%: no errors. For a category with few test products, a difference of a few "
        "points is not significant.",
    },
    "category": {"fr": "Catégorie", "en": "Category"},
    "reliability": {"fr": "Calibration des probabilités", "en": "Calibration of probabilities"},
    "reliability_note": {
        "fr": "Sur la diagonale, la probabilité prédite est égale à l'exactitude ; au-dessous, "
        "elle est trop élevée.",
        "en": "On the diagonal the predicted probability equals the accuracy; below it, the "
        "probability is too high.",
    },
    "confidence": {"fr": "Probabilité prédite", "en": "Predicted probability"},
    "choose_models": {"fr": "Modèles à comparer", "en": "Models to compare"},
    "curves": {"fr": "Courbes d'apprentissage", "en": "Training curves"},
    "curves_note": {
        "fr": "Les trois réseaux de l'étude. Trait plein : validation ; tirets : entraînement.",
        "en": "The study's three nets. Solid: validation; dashed: training.",
    },
    "epoch": {"fr": "Époque", "en": "Epoch"},
    "loss": {"fr": "Perte", "en": "Loss"},
    "part": {"fr": "Partie", "en": "Part"},
    "train": {"fr": "entraînement", "en": "training"},
    "validation": {"fr": "validation", "en": "validation"},
    # confusions
    "pairs": {"fr": "Les paires les plus confondues", "en": "The most confused pairs"},
    "pairs_note": {
        "fr": "Erreurs de la fusion tardive sur le jeu de test, dans les deux sens, avec des "
        "exemples : {errors} erreurs sur {rows} produits.",
        "en": "Errors of late fusion on the test set, in both directions, with examples: "
        "{errors} errors on {rows} products.",
    },
    "one_error": {"fr": "1 erreur", "en": "1 error"},
    "many_errors": {"fr": "{count} erreurs", "en": "{count} errors"},
    "pair": {"fr": "{first} et {second}", "en": "{first} and {second}"},
    "true_is": {"fr": "Vraie : {category}", "en": "True: {category}"},
    "predicted_is": {
        "fr": "Prédite : {category}, {probability}",
        "en": "Predicted: {category}, {probability}",
    },
    # review
    "review": {"fr": "Étiquettes douteuses", "en": "Suspect labels"},
    "review_note": {
        "fr": "Produits d'entraînement que des modèles qui ne les ont pas vus classent dans une "
        "autre catégorie : {count}.",
        "en": "Train products that models trained without them put into another category: {count}.",
    },
    "review_page": {"fr": "Page, sur {last}", "en": "Page, of {last}"},
    "given_is": {"fr": "Donnée : {category}", "en": "Given: {category}"},
    "suggested_is": {
        "fr": "Suggérée : {category}, {probability}",
        "en": "Suggested: {category}, {probability}",
    },
    "right_category": {"fr": "Bonne catégorie", "en": "Right category"},
    "save": {"fr": "Enregistrer", "en": "Save"},
    "review_stale": {"fr": "Corrigée entre-temps, à revoir.", "en": "Changed since: look again."},
    "corrected": {
        "fr": "Corrigée : {right} au lieu de {given}.",
        "en": "Corrected: {right} instead of {given}.",
    },
    "review_import": {
        "fr": "Les corrections sont dans {file}. Elles s'appliquent au prochain import : "
        "« python -m rakuten import --drops data corrections ».",
        "en": "The corrections are in {file}. The next import applies them: “python -m rakuten "
        "import --drops data corrections”.",
    },
    "download": {"fr": "Télécharger les corrections", "en": "Download the corrections"},
    "error_review": {
        "fr": "La correction n'a pas pu être lue ou enregistrée : {reason}",
        "en": "The correction could not be read or stored: {reason}",
    },
    "pairs_none": {
        "fr": "Le modèle n'a fait aucune erreur sur le jeu de test.",
        "en": "The model made no errors on the test set.",
    },
}
"""By key, then by language."""

_NO_BREAK = "\N{NO-BREAK SPACE}"
_FRENCH_SPACE = re.compile(r"(?<=«) | (?=[:;?!»%])")
_APOSTROPHE = re.compile(r"(?<=\w)'(?=\w)")


def translate(key: str, language: str, **values: object) -> str:
    """Translate a text and fill in its values.

    Apostrophes of the text become typographic, and French punctuation gets no-break spaces.
    """
    text = _APOSTROPHE.sub("’", TEXTS[key][language])
    text = _FRENCH_SPACE.sub(_NO_BREAK, text) if language == "fr" else text
    return text.format(**values)


def number(value: float, language: str, *, digits: int = 2, sign: bool = False) -> str:
    """Format a number: a decimal comma in French, a minus sign, "-" for NaN."""
    if value != value:  # NaN
        return "-"
    written = f"{value:{'+' if sign else ''}.{digits}f}"
    if not float(written):
        written = written.replace("-", "").replace("+", "")
    written = written.replace("-", "\N{MINUS SIGN}")
    return written.replace(".", ",") if language == "fr" else written


def count(value: int, language: str) -> str:
    """Format a count with a separator of thousands."""
    separator = "\N{NARROW NO-BREAK SPACE}" if language == "fr" else ","
    return f"{value:,}".replace(",", separator)


def percent(value: float, language: str, *, digits: int = 0) -> str:
    """Format a share as a percentage, "-" for NaN; values below 1 never read 100 %."""
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

"""Names of the categories and groups in French and English: the only table of them.

The original study has fifteen of the French names, without accents; the other twelve are named in
the same style. A separate module, so that a changed name reruns no training.
"""

CATEGORIES: dict[int, dict[str, str]] = {
    10: {"fr": "Livres pour adultes", "en": "Books for adults"},
    40: {"fr": "Jeux vidéo importés", "en": "Imported video games"},
    50: {"fr": "Accessoires de jeu vidéo", "en": "Gaming accessories"},
    60: {"fr": "Jeux et consoles rétro", "en": "Retro games and consoles"},
    1140: {"fr": "Goodies geek", "en": "Geek merchandise"},
    1160: {"fr": "Cartes à jouer", "en": "Playing cards"},
    1180: {"fr": "Figurines et wargames", "en": "Figurines and wargames"},
    1280: {"fr": "Jouets de l’enfance", "en": "Childhood toys"},
    1281: {"fr": "Jeux de société", "en": "Board games"},
    1300: {"fr": "Modèles réduits et télécommandés", "en": "Scale and remote-control models"},
    1301: {"fr": "Vêtements bébé et jeux de salon", "en": "Baby clothes and parlour games"},
    1302: {"fr": "Jouets pour enfants", "en": "Toys for children"},
    1320: {"fr": "Petite enfance", "en": "Early childhood"},
    1560: {"fr": "Meubles", "en": "Furniture"},
    1920: {"fr": "Linge de maison", "en": "Household linen"},
    1940: {"fr": "Alimentation", "en": "Food"},
    2060: {"fr": "Décoration", "en": "Decoration"},
    2220: {"fr": "Animalerie", "en": "Pet supplies"},
    2280: {"fr": "Magazines", "en": "Magazines"},
    2403: {"fr": "Livres jeunesse", "en": "Children’s books"},
    2462: {"fr": "Jeux et consoles d’occasion", "en": "Used games and consoles"},
    2522: {"fr": "Papeterie", "en": "Stationery"},
    2582: {"fr": "Mobilier de jardin et de cuisine", "en": "Garden and kitchen furniture"},
    2583: {"fr": "Piscine et spa", "en": "Pools and spas"},
    2585: {"fr": "Outils de jardin", "en": "Garden tools"},
    2705: {"fr": "Livres et illustrés", "en": "Books and illustrated books"},
    2905: {"fr": "Jeux PC à télécharger", "en": "PC games to download"},
}
"""Names of each `prdtypecode`, in ascending order of the code."""

GROUPS: dict[str, dict[str, str]] = {
    "books": {"fr": "Livres et magazines", "en": "Books and magazines"},
    "toys": {"fr": "Jouets", "en": "Toys"},
    "games": {"fr": "Jeux vidéo", "en": "Video games"},
}
"""Names of each of `rakuten.categories.GROUPS`."""


def category(code: int, language: str) -> str:
    """Look up the name of a category in "fr" or "en", e.g. "Piscine et spa"."""
    return CATEGORIES[code][language]


def group(name: str, language: str) -> str:
    """Look up the name of a group in "fr" or "en", e.g. "Jeux vidéo"."""
    return GROUPS[name][language]

"""Titles and descriptions: HTML, language, tokens, TF-IDF, sentence vectors."""

"""The packaged classifier: prediction, explanation, product files."""

"""The synthetic catalogue: products of the challenge's formats and difficulties, made up.

`python -m rakuten sample OUT` writes one. From the outside in: `catalogue` decides what each
product is and writes the files; `text` grows titles and descriptions from `words.yaml`; `images`
sets a shape program (`programs`, `shapes_*`, `motifs`, `brush`) in a pose, a light and a
background; `draws` gives every product its own stream of random values.
"""

"""The synthetic catalogue: generated products in the challenge's formats and of its difficulty.

`python -m rakuten sample OUT` writes one. `catalogue` decides what each product is and writes the
files. `text` generates titles and descriptions from `words.yaml`. `images` draws a shape
(`programs`, `shapes_*`, `motifs`) on a `canvas` with a pose, lighting and a background.
`random_stream` gives each product an independent stream of random values. `dataset` names the data.

`import_command` imports the user's own files, or a sample of them.
"""

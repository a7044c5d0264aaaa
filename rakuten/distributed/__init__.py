"""Catalogues of any length on many machines: Ray Data around the functions of `rakuten.serving.batch_prediction`.

`engine` is the only module here that imports Ray, and it does so when it is run: without Ray the
rest of the project works as ever.
"""

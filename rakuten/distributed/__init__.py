"""Large catalogues on several machines: Ray Data around the functions of `rakuten.serving`.

Only `engine` imports Ray, and only when it runs: everything else works without it.
"""

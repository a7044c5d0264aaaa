"""Large catalogues on several machines: Ray Data around the functions of `rakuten.serving`.

Ray is imported when a run starts: everything else works without it.
"""

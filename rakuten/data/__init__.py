"""The product table: import, sources, splits, examples, pinned resources."""

"""Library of the Rakuten France product classification pipeline: one folder per concern."""

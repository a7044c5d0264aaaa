"""Library of the Rakuten France product classification pipeline: one room per concern."""

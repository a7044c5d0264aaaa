"""Charts, README tables and cards."""

"""What the engine costs and what it saves, beside its rivals in one run: ``make bench``."""

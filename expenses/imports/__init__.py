"""The parts of an import: lines, values, entries, identities, storing, report. See ``expenses.importing``."""

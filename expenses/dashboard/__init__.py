"""The dashboard: what was spent, by month, category and status, for people. Everything in it is read from totals."""

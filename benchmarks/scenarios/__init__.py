"""What is measured, a module for each kind. Each scenario yields names with their ratios."""

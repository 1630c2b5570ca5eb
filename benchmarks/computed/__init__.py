"""Totals kept by django-computedfields: an app of its own, installed where that package is."""

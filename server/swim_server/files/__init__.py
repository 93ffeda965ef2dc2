"""Safely opens files that others may have planted; replaces files so that a power cut neither undoes nor tears them."""

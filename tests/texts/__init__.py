"""Texts for people: languages, the catalogue and its translations."""

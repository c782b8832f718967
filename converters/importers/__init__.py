"""Importers: from other formats to an engine graph."""

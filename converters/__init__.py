"""Converts networks to `.fgm` files."""

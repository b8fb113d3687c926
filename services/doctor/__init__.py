"""Looks at everything that a profile leads to, and changes nothing: what is wrong, and what mends it."""

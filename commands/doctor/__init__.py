"""Check everything that a profile connects to, without changing it. Report what is wrong and how to fix it."""

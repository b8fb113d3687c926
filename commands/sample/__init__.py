"""The sample content, which can be removed and restored as a whole. The platform's own tests run on it."""

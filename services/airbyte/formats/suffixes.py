"""Detect a file's format and compression by its name."""

COMPRESSIONS = {".gz": "gzip", ".bz2": "bzip2", ".zst": "Zstandard"}
FORMATS = (".csv", ".jsonl", ".parquet")
ARCHIVE = ".zip"


def plain(key: str) -> str:
    """Return the name in lower case, without the suffix of a compression."""
    name = key.lower()
    return next((name.removesuffix(suffix) for suffix in COMPRESSIONS if name.endswith(suffix)), name)


def compression(key: str) -> str | None:
    """Return the name of the compression, or None for an uncompressed object."""
    return next((kind for suffix, kind in COMPRESSIONS.items() if key.lower().endswith(suffix)), None)


def is_archive(key: str) -> bool:
    return key.lower().endswith(ARCHIVE)

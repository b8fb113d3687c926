"""What a file's name says of it."""

COMPRESSIONS = {".gz": "gzip", ".bz2": "bzip2", ".zst": "Zstandard"}
FORMATS = (".csv", ".jsonl", ".parquet")
ARCHIVE = ".zip"


def plain(key: str) -> str:
    """The name in lower case of what the object holds once it is decompressed."""
    name = key.lower()
    return next((name.removesuffix(suffix) for suffix in COMPRESSIONS if name.endswith(suffix)), name)


def compression(key: str) -> str | None:
    """The name of the compression, None of an object that is not compressed."""
    return next((kind for suffix, kind in COMPRESSIONS.items() if key.lower().endswith(suffix)), None)


def is_archive(key: str) -> bool:
    return key.lower().endswith(ARCHIVE)

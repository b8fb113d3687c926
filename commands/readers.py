"""Find the files of the dbt project that read a model or a source, which must not be removed while they do."""

import re
from collections.abc import Iterable
from pathlib import Path

REF = re.compile(r"""(?:\bref\(\s*(?:'[^']*'\s*,\s*)?|\bsource\(\s*'raw'\s*,\s*)['"](\w+)['"]""")
"""Matches the names of models and sources that a dbt file reads."""


def still_read(root: Path, files: Iterable[Path], removed: set[str], owner: str) -> str:
    """Return an error that names the files which read removed models or sources; "" if there are none.

    Args:
        root: the folder of the checkout.
        files: the remaining files, relative to `root`.
        removed: names of models and sources to remove.
        owner: what these belong to, such as "the sample".
    """
    said = []
    for file in files:
        if file.suffix in (".sql", ".yml", ".yaml") and file.is_relative_to("dbt_project"):
            text = (root / file).read_text(encoding="utf-8")
            if read := sorted(removed.intersection(REF.findall(text))):
                said.append(f"{file} reads {', '.join(read)} of {owner}.")
    if not said:
        return ""
    which = "that file" if len(said) == 1 else "those files"
    return " ".join([*said, f"Change or delete {which}, then try again. Nothing was changed."])

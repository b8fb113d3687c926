"""The files of the dbt project that read a model or a source, which cannot go while they do."""

import re
from collections.abc import Iterable
from pathlib import Path

REF = re.compile(r"""(?:\bref\(\s*(?:'[^']*'\s*,\s*)?|\bsource\(\s*'raw'\s*,\s*)['"](\w+)['"]""")
"""The names of models and sources that a file of dbt reads."""


def still_read(root: Path, files: Iterable[Path], goes: set[str], owner: str) -> str:
    """Return what to tell a person of files that read what goes; "" where none does.

    Args:
        root: the folder of the checkout.
        files: those that stay, from `root`.
        goes: the names of models and sources.
        owner: what they belong to, such as "the sample".
    """
    said = []
    for file in files:
        if file.suffix in (".sql", ".yml", ".yaml") and file.is_relative_to("dbt_project"):
            text = (root / file).read_text(encoding="utf-8")
            if read := sorted(goes.intersection(REF.findall(text))):
                said.append(f"{file} reads {', '.join(read)} of {owner}.")
    if not said:
        return ""
    which = "that file" if len(said) == 1 else "those files"
    return " ".join([*said, f"Change or delete {which}, then try again. Nothing was changed."])

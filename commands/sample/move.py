"""Removes the sample and restores it."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from blocks.errors import counted
from commands.readers import still_read
from commands.sample import shared
from commands.sample.files import AWAY, SHARED, Sample, SampleError

MOST_NAMED = 8
Confirm = Callable[[str], bool]


def remove(sample: Sample, console: Console, confirm: Confirm) -> int:
    """Move the sample's files away, and its entries out of the shared files. Return 1 if the user declines.

    Raises:
        SampleError: it was removed already, or the user's models read its tables.
    """
    if sample.home != sample.root:
        raise SampleError(f"The sample was removed already: it is in {AWAY}. `make sample` restores it.")
    files, streams, texts = sample.files(), sample.streams(), _texts(sample.root)
    _check_readers(sample, files, streams)
    _check_free(sample.root / AWAY, [*files, *SHARED])
    _show(console, f"to {AWAY}", files, streams)
    if changed := sample.changed():
        changes = f"{escape(_shorten(changed))}; they are moved with their changes"
        console.print(f"  [yellow]uncommitted changes:[/yellow] {changes}", highlight=False)
    if not confirm("Remove the sample?"):
        return 1
    for file, text in texts.items():
        _write(sample.root / AWAY / file, shared.only(file, text, streams))
        _write(sample.root / file, shared.without(file, text, streams))
    _move(files, sample.root, sample.root / AWAY)
    console.print(
        "The sample was removed. To turn a file into a source: make source FILE=orders.csv. What a platform has loaded "
        "of the sample stays until `make reset`. `make test` still runs the platform's tests on the sample. "
        "`make sample` restores it.",
        highlight=False,
    )
    return 0


def restore(sample: Sample, console: Console, confirm: Confirm) -> int:
    """Move the sample's files and entries back. Return 1 if the user declines.

    Raises:
        SampleError: it is there already, or the user has files or streams with the same names.
    """
    if sample.is_in_place:
        raise SampleError("The sample is in place already. `make sample REMOVE=1` removes it.")
    files, streams, away = sample.files(), sample.streams(), sample.home
    _check_free(sample.root, files)
    texts, sample_texts = _texts(sample.root), _texts(away)
    duplicates = {name for file, text in texts.items() for name in shared.names(file, text) if name in streams}
    if duplicates:
        raise SampleError(
            f"You have streams with the same names: {', '.join(sorted(duplicates))}. Remove them, then try again."
        )
    _show(console, "back", files, streams)
    if not confirm("Restore the sample?"):
        return 1
    for file, text in texts.items():
        _write(sample.root / file, shared.joined(file, text, sample_texts[file]))
        (away / file).unlink()
    _move(files, away, sample.root)
    console.print("The sample was restored.")
    return 0


def _texts(folder: Path) -> dict[Path, str]:
    return {file: (folder / file).read_text(encoding="utf-8") for file in SHARED}


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def _check_readers(sample: Sample, files: Iterable[Path], streams: Sequence[str]) -> None:
    removed_names = {file.stem for file in files if file.suffix == ".sql"} | set(streams)
    if message := still_read(sample.root, sample.others(), removed_names, "the sample"):
        raise SampleError(message)


def _check_free(folder: Path, files: Iterable[Path]) -> None:
    if existing := [str(file) for file in files if (folder / file).exists()]:
        raise SampleError(f"Files are in the way of the sample: {_shorten(existing)}. Move them, then try again.")


def _show(console: Console, where: str, files: Sequence[Path], streams: Sequence[str]) -> None:
    console.print(f"The sample's files move {where}:", highlight=False)
    for folder, count in Counter(str(file.parent) for file in files).items():
        console.print(f"  {folder}/  {counted(count, 'file')}", highlight=False)
    console.print(f"  the entries of {', '.join(streams)} in {' and '.join(map(str, SHARED))}", highlight=False)


def _shorten(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _move(files: Iterable[Path], source: Path, target: Path) -> None:
    emptied = set[Path]()
    for file in files:
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        (source / file).rename(target / file)
        emptied.update(file.parents)
    for folder in sorted(emptied, key=lambda each: -len(each.parts)):
        if not any((source / folder).iterdir()):
            (source / folder).rmdir()

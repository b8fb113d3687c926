"""Takes the sample out, and puts it back."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from blocks.errors import counted
from services.readers import still_read
from services.sample import shared
from services.sample.files import AWAY, SHARED, Sample, SampleError

MOST_NAMED = 8
Agreed = Callable[[str], bool]


def take_out(sample: Sample, console: Console, agreed: Agreed) -> int:
    """Move the sample's files away, and its entries out of the files that it shares; 1 where nobody agrees.

    Raises:
        SampleError: it is out already, or models of the user's read its tables.
    """
    if sample.home != sample.root:
        raise SampleError(f"The sample was taken out already: it is in {AWAY}. `make sample` puts it back.")
    files, streams, texts = sample.files(), sample.streams(), _texts(sample.root)
    _check_readers(sample, files, streams)
    _check_free(sample.root / AWAY, [*files, *SHARED])
    _show(console, f"to {AWAY}", files, streams)
    if changed := sample.changed():
        said = f"{escape(_some(changed))}; they move as they are"
        console.print(f"  [yellow]not as committed:[/yellow] {said}", highlight=False)
    if not agreed("Take the sample out?"):
        return 1
    for file, text in texts.items():
        _write(sample.root / AWAY / file, shared.only(file, text, streams))
        _write(sample.root / file, shared.without(file, text, streams))
    _move(files, sample.root, sample.root / AWAY)
    console.print(
        "The sample is out. Turn a file into a source: make source FILE=orders.csv. What a platform has loaded of the "
        "sample stays until `make reset`. `make test` runs the platform's tests on the sample as before; `make sample` "
        "puts it back.",
        highlight=False,
    )
    return 0


def put_back(sample: Sample, console: Console, agreed: Agreed) -> int:
    """Move the sample's files and entries back; 1 where nobody agrees.

    Raises:
        SampleError: it is there already, or the user has files or streams of the same names.
    """
    if sample.is_in_place:
        raise SampleError("The sample is in its place. `make sample REMOVE=1` takes it out.")
    files, streams, away = sample.files(), sample.streams(), sample.home
    _check_free(sample.root, files)
    texts, theirs = _texts(sample.root), _texts(away)
    taken = {name for file, text in texts.items() for name in shared.names(file, text) if name in streams}
    if taken:
        raise SampleError(
            f"You have streams of the same names: {', '.join(sorted(taken))}. Take them out, then try again."
        )
    _show(console, "back", files, streams)
    if not agreed("Put the sample back?"):
        return 1
    for file, text in texts.items():
        _write(sample.root / file, shared.joined(file, text, theirs[file]))
        (away / file).unlink()
    _move(files, away, sample.root)
    console.print("The sample is back.")
    return 0


def _texts(folder: Path) -> dict[Path, str]:
    return {file: (folder / file).read_text(encoding="utf-8") for file in SHARED}


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def _check_readers(sample: Sample, files: Iterable[Path], streams: Sequence[str]) -> None:
    goes = {file.stem for file in files if file.suffix == ".sql"} | set(streams)
    if said := still_read(sample.root, sample.others(), goes, "the sample"):
        raise SampleError(said)


def _check_free(folder: Path, files: Iterable[Path]) -> None:
    if there := [str(file) for file in files if (folder / file).exists()]:
        raise SampleError(f"There are files where the sample would go: {_some(there)}. Move them, then try again.")


def _show(console: Console, where: str, files: Sequence[Path], streams: Sequence[str]) -> None:
    console.print(f"The sample's files move {where}:", highlight=False)
    for folder, count in Counter(str(file.parent) for file in files).items():
        console.print(f"  {folder}/  {counted(count, 'file')}", highlight=False)
    console.print(f"  the entries of {', '.join(streams)} in {' and '.join(map(str, SHARED))}", highlight=False)


def _some(names: Sequence[str]) -> str:
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

"""Runs the platform's tests on the sample, whatever content the checkout has.

If the sample is the only content, the tests run in this checkout. Otherwise they run in a copy with the platform's
files and the sample, without the user's content. The copy uses this checkout's packages: its `.venv` consists of links,
and Python finds the platform's modules in the copy.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from commands.sample import shared
from commands.sample.files import AWAY, SHARED, Sample, files_in, is_content
from services.content import PROJECT

COPY = Path("data", "test-checkout")
CONTENT_TESTS = "tests/content"
"""The tests that hold for any content."""
KEPT = {".venv", "data"}
"""Folders of an earlier copy that are kept."""


def run_tests(arguments: Sequence[str]) -> int:
    """Run pytest with the sample as the only content. Return its exit code."""
    sample = Sample(PROJECT)
    pytest = Path(sys.executable).with_name("pytest")
    if not (why := own_content(sample)):
        os.execv(pytest, [str(pytest), *arguments])  # noqa: S606
    print(f"{why}. Running the platform's tests on the sample, in {COPY}.", flush=True)
    copy = PROJECT / COPY
    copy_with_sample(sample, copy)
    checked = subprocess.run([pytest, "-q", CONTENT_TESTS], cwd=PROJECT, check=False).returncode  # noqa: S603
    tested = subprocess.run([copy / ".venv" / "bin" / "pytest", *arguments], cwd=copy, check=False).returncode  # noqa: S603
    return checked or tested


def own_content(sample: Sample) -> str:
    """Return what content is not the sample's, or that the sample is missing. Return "" if neither is so."""
    if not sample.is_in_place:
        return "The sample is not in its place"
    if others := sample.others():
        return f"This checkout has content of its own, such as {others[0]}"
    streams = set(sample.streams())
    for file in SHARED:
        if own := shared.names(file, (sample.root / file).read_text(encoding="utf-8")) - streams:
            return f"This checkout has content of its own, such as {min(own)} in {file}"
    return ""


def copy_with_sample(sample: Sample, copy: Path) -> None:
    """Update a copy of the checkout that has the platform's files, the sample, and its own git repository.

    Raises:
        commands.sample.files.SampleError: the sample is missing, or the checkout is not a git repository.
    """
    home, own, streams = sample.home, sample.files(), sample.streams()
    copy.mkdir(parents=True, exist_ok=True)
    for each in copy.iterdir():
        if each.name not in KEPT:
            shutil.rmtree(each) if each.is_dir() else each.unlink()
    for file in files_in(sample.root):
        if not (is_content(file) or file in SHARED or file in own or file.is_relative_to(AWAY)):
            _copy(sample.root / file, copy / file)
    for file in own:
        _copy(home / file, copy / file)
    for file in SHARED:
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        text = (home / file).read_text(encoding="utf-8")
        (copy / file).write_text(shared.only(file, text, streams), encoding="utf-8")
    who = ["-c", "user.name=tests", "-c", "user.email=tests@localhost", "-c", "commit.gpgsign=false"]
    for command in (["init", "--quiet"], ["add", "--all"], [*who, "commit", "--quiet", "--no-verify", "-m", "copy"]):
        subprocess.run(["git", *command], cwd=copy, check=True)  # noqa: S603, S607
    link_environment(sample.root / ".venv", copy / ".venv")


def link_environment(environment: Path, copy: Path) -> None:
    """Make an environment with the packages of another one. Its commands run in its own folder.

    `_local_data_platform.pth` has the path of the platform's modules, relative to the environment's folder. So in the
    copy, it points to the copy.
    """
    shutil.rmtree(copy, ignore_errors=True)
    (copy / "bin").mkdir(parents=True)
    shutil.copyfile(environment / "pyvenv.cfg", copy / "pyvenv.cfg")
    for folder in ("lib", "lineage"):
        if (environment / folder).exists():
            (copy / folder).symlink_to(environment / folder)
    for command in (environment / "bin").iterdir():
        target = copy / "bin" / command.name
        if command.is_symlink():
            target.symlink_to(command.readlink())
        elif (content := command.read_bytes()).startswith(b"#!"):
            content = content.replace(os.fsencode(environment / "bin"), os.fsencode(copy / "bin"))
            target.write_bytes(content)
            target.chmod(0o755)
        else:
            target.symlink_to(command)
    (copy / ".ready").write_text(f"{copy.parent.resolve()}\n", encoding="utf-8")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)

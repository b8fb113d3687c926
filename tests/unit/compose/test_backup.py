"""A backup is written whole or not at all, and a restore that would harm is refused before anything changes."""

import json
import re
import tarfile
from pathlib import Path

import pytest
import yaml

from commands.compose import backup as module
from commands.compose.backup import DATA, LANDING, MANIFEST, OVERLAY, VOLUMES, backup, restore
from commands.compose.command_line import RETENTION, Compose
from commands.compose.profile import COMPOSE_FILE, SCALE_FILE, Profile, load
from commands.errors import CommandError
from tests.unit.compose.profile_texts import TEXTS

LEFT_OUT = {"prefect-database", "prefect-leases", "prefect-redis", "postgres-socket", "dbt-packages"}
"""Prefect's database is dumped, and a restore frees the slots that were held; the others hold nothing that is lost."""


@pytest.fixture
def rehearsal(tmp_path: Path) -> Profile:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "rehearsal.env").write_text(TEXTS["rehearsal"])
    profile = load("rehearsal", tmp_path / "profiles")
    profile.secrets_folder.mkdir(parents=True)
    (profile.secrets_folder / "PREFECT_SERVER_ENCRYPTION_KEY").write_text("one")
    return profile


def saved(own: Profile, folder: Path, **changes: object) -> str:
    """A backup of this profile with nothing in it."""
    manifest = {"format": 1, "profile": own.name, "target": "snowflake", "key": module._key(own), "at": "now"}
    (folder / MANIFEST).write_text(json.dumps({**manifest, **changes}))
    with tarfile.open(folder / "saved.tar", "w") as archive:
        for name in (MANIFEST, LANDING, DATA):
            archive.add(folder / MANIFEST, name)
    return str(folder / "saved.tar")


def test_a_back_up_has_every_volume_whose_content_cannot_be_made_again() -> None:
    texts = [
        file.read_text().partition("\nvolumes:")[2].partition("\nsecrets:")[0] for file in (COMPOSE_FILE, SCALE_FILE)
    ]
    volumes = {name for text in texts for name in re.findall(r"^  ([a-z-]+):", text, re.MULTILINE)}
    assert volumes - LEFT_OUT == set(VOLUMES)
    mounts = yaml.safe_load(OVERLAY.read_text())["services"]["bootstrap"]["volumes"]
    assert sorted(mounts) == sorted(f"{name}:/data/{name}" for name in VOLUMES)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"profile": "local"}, "has the profile 'local', but this platform has 'rehearsal'"),
        ({"target": "dev"}, "has the target 'dev'"),
        ({"format": 99}, "has format 99"),
        ({"key": "other"}, "another PREFECT_SERVER_ENCRYPTION_KEY"),
    ],
)
def test_a_back_up_of_another_platform_is_refused(
    rehearsal: Profile, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(CommandError, match=said):
        restore(Compose(rehearsal, project="p"), saved(rehearsal, tmp_path, **changes), agreed=True)


@pytest.mark.parametrize("content", [None, b"", b"no archive"])
def test_a_file_that_is_no_back_up_is_named(rehearsal: Profile, tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "saved.tar"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(CommandError, match=r"FROM=.*saved\.tar (is not|cannot be read as) a backup"):
        restore(Compose(rehearsal, project="p"), str(file), agreed=True)


def test_a_back_up_that_was_cut_or_lacks_a_part_is_refused(rehearsal: Profile, tmp_path: Path) -> None:
    whole = Path(saved(rehearsal, tmp_path)).read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[:2000])
    with tarfile.open(tmp_path / "part.tar", "w") as archive:
        archive.add(tmp_path / MANIFEST, MANIFEST)
    with tarfile.open(tmp_path / "folder.tar", "w") as archive:
        for part in (MANIFEST, LANDING):
            archive.add(tmp_path / MANIFEST, part)
        archive.add(tmp_path, DATA, recursive=False)
    for name, said in (
        ("cut", "cannot|unexpected end of data"),
        ("part", "lacks landing.tar, volumes.tar"),
        ("folder", "lacks volumes.tar"),
    ):
        with pytest.raises(CommandError, match=rf"{said}.* Nothing was changed"):
            restore(Compose(rehearsal, project="p"), str(tmp_path / f"{name}.tar"), agreed=True)


def test_a_part_reaches_the_command_that_restores_it_and_its_error_is_told(tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(content := bytes(range(256)) * 20_000)
    with tarfile.open(tmp_path / "saved.tar", "w") as archive:
        archive.add(tmp_path / "part", DATA)
    with tarfile.open(tmp_path / "saved.tar", "r:") as archive:
        module._read(archive, DATA, ["sh", "-c", f"cat > {tmp_path}/restored"])
        assert (tmp_path / "restored").read_bytes() == content
        full = "echo 'write: No space left on device' >&2; exit 1"
        with pytest.raises(CommandError, match=r"volumes.tar could not be copied: .* Free some"):
            module._read(archive, DATA, ["sh", "-c", full])


@pytest.mark.parametrize(
    ("to", "said"), [("", "TO is missing"), ("there", "exists already"), ("no/x", "/no does not exist. Create it")]
)
def test_a_back_up_replaces_no_file(
    rehearsal: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there").write_text("mine")
    with pytest.raises(CommandError, match=said):
        backup(Compose(rehearsal, project="p"), to)
    assert Path("there").read_text() == "mine"


def test_how_long_prefect_keeps_ended_runs_is_the_profiles_to_say(tmp_path: Path) -> None:
    def kept(text: str) -> list[str]:
        (tmp_path / "local.env").write_text(text)
        return [each for each in Compose(load("local", tmp_path)).command("ps") if each.startswith(RETENTION)]

    assert kept(TEXTS["local"]) == [f"{RETENTION}={90 * 86400}"]
    assert kept(f"{TEXTS['local']}PREFECT_KEEP_DAYS=30\n") == [f"{RETENTION}={30 * 86400}"]

"""`make promote`: show what a profile would change, and change it."""

from commands.compose.command_line import OVERRIDABLE, Compose
from commands.compose.image import need_image
from commands.compose.profile import Profile, load
from commands.errors import CommandError

MACHINE_VALUES = {"PROFILE", *OVERRIDABLE}


def promote(compose: Compose, origin: str, apply: bool, takeover: bool = False) -> int:
    """Print what a profile would change (values, blocks, deployments and models), and apply it if asked.

    Args:
        compose: the platform of the profile to apply.
        origin: name of the profile to compare the values with.
        apply: whether to change the Prefect server. Tables change when a pipeline runs there.
        takeover: whether to replace what another clone registered there under the same names.
    """
    name, make = compose.profile.name, compose.profile.make
    print(f"From {origin} to {name}.\n\nValues:")
    print("\n".join(changed_values(load(origin).values, compose.profile)) or "  no differences", flush=True)
    if "prefect" in compose.profile.services and compose.missing("prefect-server"):
        return _before_the_first_start(compose, apply)
    options = ["--takeover"] if takeover else []
    if bootstrap(compose, "--plan", *options):
        raise CommandError(f"Nothing was changed. `{make('doctor')}` shows the reason.")
    if apply:
        code = bootstrap(compose, *options)
        print("Done." if not code else "Some changes failed; see above.")
        return code
    print(f"\nNothing was changed. `{make('promote')} APPLY=1` makes these changes.")
    return 0


def _before_the_first_start(compose: Compose, apply: bool) -> int:
    """Print the plan without blocks and deployments, because the platform's own Prefect server is not running."""
    up = compose.profile.make("up")
    print("\nBlocks and deployments:")
    print("  This profile's Prefect server is not running, so there is nothing to compare with.")
    print(f"  `{up}` starts it and registers all of them.", flush=True)
    code = bootstrap(compose, "--models")
    print(f"\nNothing was changed. Run `{up}`." + (" APPLY=1 needs a running server." if apply else ""))
    return int(code or apply)


def changed_values(origin: dict[str, str], profile: Profile) -> list[str]:
    """Return a line for each value that differs, except those that belong to this machine."""
    names = [name for name in dict.fromkeys([*profile.values, *origin]) if name not in MACHINE_VALUES]
    return [
        f"  {name}: {origin.get(name) or '(none)'} -> {profile.values.get(name) or '(none)'}"
        for name in names
        if (origin.get(name) or "") != (profile.values.get(name) or "")
    ]


def bootstrap(compose: Compose, *options: str) -> int:
    """Run only bootstrap, on this terminal, and return its exit code."""
    need_image(compose.profile)
    command = ("python", "-m", "services.bootstrap", "--profile", compose.profile.name, *options)
    return compose.run("run", "--rm", "--no-deps", "-T", "bootstrap", *command)

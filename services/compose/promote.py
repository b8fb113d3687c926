"""`make promote`: what would change on the way to a profile, and the change itself."""

from services.compose.engine import Compose
from services.compose.image import need_image
from services.compose.profile import ComposeError, Profile, load

OF_THIS_MACHINE = {
    "PROFILE",
    "COMPOSE_PROJECT_NAME",
    "PREFECT_PORT",
    "AIRBYTE_PORT",
    "S3_PORT",
    "CONSOLE_PORT",
    "PIP_CONFIG_FILE",
    "BUILD_CA_FILE",
}


def promote(compose: Compose, origin: str, apply: bool, takeover: bool = False) -> int:
    """Print what a profile would change: values, blocks, deployments and models; then, where asked, do it.

    Args:
        compose: of the profile to go to.
        origin: name of the profile to compare its values with.
        apply: whether to change the Prefect server. Tables change when a pipeline runs there.
        takeover: whether what another clone has registered there under the same names is replaced.
    """
    name, make = compose.profile.name, compose.profile.make
    print(f"From {origin} to {name}.\n\nValues:")
    print("\n".join(differing(load(origin).values, compose.profile)) or "  none differs", flush=True)
    if "prefect" in compose.profile.services and compose.missing("prefect-server"):
        return _before_the_first_start(compose, apply)
    options = ["--takeover"] if takeover else []
    if bootstrap(compose, "--plan", *options):
        raise ComposeError(f"Nothing was changed. `{make('doctor')}` says what stands in the way.")
    if apply:
        code = bootstrap(compose, *options)
        print("Done." if not code else "Not all of it could be done; see above.")
        return code
    print(f"\nNothing was changed. `{make('promote')} APPLY=1` does it.")
    return 0


def _before_the_first_start(compose: Compose, apply: bool) -> int:
    """Say what can be said while the platform's own Prefect server does not run."""
    up = compose.profile.make("up")
    print("\nBlocks and deployments:")
    print("  Prefect's server of this profile does not run, so there is nothing to compare with.")
    print(f"  `{up}` starts it, and registers all of them.", flush=True)
    code = bootstrap(compose, "--models")
    print(f"\nNothing was changed. `{up}` does it." + (" APPLY=1 needs a server that runs." if apply else ""))
    return int(code or apply)


def differing(origin: dict[str, str], profile: Profile) -> list[str]:
    """The values that differ, a line each; what belongs to this machine apart."""
    names = [name for name in dict.fromkeys([*profile.values, *origin]) if name not in OF_THIS_MACHINE]
    return [
        f"  {name}: {origin.get(name) or '(none)'} -> {profile.values.get(name) or '(none)'}"
        for name in names
        if (origin.get(name) or "") != (profile.values.get(name) or "")
    ]


def bootstrap(compose: Compose, *options: str) -> int:
    """Run bootstrap alone, on this terminal; its exit code."""
    need_image(compose.profile)
    command = ("python", "-m", "services.bootstrap", "--profile", compose.profile.name, *options)
    return compose.run("run", "--rm", "--no-deps", "-T", "bootstrap", *command)

"""Run the watch: `python -m services.watch`. The commands `list` and `test` are for people."""

import argparse
import json
import logging
import sys
import time
from datetime import UTC, datetime

from blocks.errors import PlatformError
from blocks.incidents import IncidentStore
from blocks.names import Names
from blocks.settings import PrefectServer, Settings, make
from services.receiver.messages import Messages, line
from services.watch.prefect_api import Prefect
from services.watch.watch import Watch, ask_for_test

TEST_SECONDS = 90.0


def main(arguments: list[str] | None = None) -> int:
    """Watch the platform, list the messages that the local receiver got, or send a test message."""
    parser = argparse.ArgumentParser(prog="python -m services.watch", description=main.__doc__)
    parser.add_argument("--profile", default="", help="name of the profile, whose saved blocks are used")
    parser.add_argument("--json", action="store_true", help="with list: print each message as a line of JSON")
    parser.add_argument("command", nargs="?", choices=["watch", "list", "test"], default="watch")
    options = parser.parse_args(arguments)
    try:
        settings = Settings()
        match options.command:
            case "list":
                return show(Messages(settings.alerts_dir), options.json)
            case "test":
                return test(settings)
            case _:
                watch(settings, options.profile)
    except PlatformError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


def watch(settings: Settings, profile: str) -> None:
    """Watch until the process ends."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # httpx logs every URL, but the receiver's URL is a secret
    server = PrefectServer()
    names = Names.of(profile, server.api_url, settings.prefect_namespace)
    store = IncidentStore(settings.alerts_dir)
    store.hold()
    Watch(store, Prefect(server), settings, names, names.blocks(profile) if profile else "").run()


def show(messages: Messages, as_json: bool) -> int:
    """Print the messages that the local receiver got, oldest first."""
    received = messages.read()
    for each in received:
        print(json.dumps(each) if as_json else line(each), flush=True)
    if not received and not as_json:
        print(f"The local receiver has received no messages. `{make('alert-test')}` sends one.")
    return 0


def test(settings: Settings) -> int:
    """Send a test message and wait for its delivery. Return 1 if it has not arrived after TEST_SECONDS."""
    store, begun = IncidentStore(settings.alerts_dir), time.monotonic()
    state = store.read()
    if state is None or (datetime.now(UTC) - state.looked).total_seconds() > TEST_SECONDS:
        raise PlatformError(
            f"The watch is not running. Start it with `{make('up')}` or `make dev`. `{make('logs')} SERVICE=watch` "
            "shows why it stopped."
        )
    id_ = ask_for_test(store)
    while time.monotonic() < begun + TEST_SECONDS:
        state = store.read()
        if state and id_ in state.sent:
            return _arrived(settings, id_, time.monotonic() - begun, state.has_receiver)
        time.sleep(0.5)
    failure = state.failures.get(id_) if state else None
    why = failure.why if failure else f"`{make('logs')} SERVICE=watch` shows why."
    print(f"The message was not delivered. The watch keeps trying. {why}", file=sys.stderr)
    return 1


def _arrived(settings: Settings, id_: str, seconds: float, has_receiver: bool) -> int:
    if any(each.get("id") == id_ for each in Messages(settings.alerts_dir).read()):
        print(f"The local receiver got the message {id_} after {seconds:.1f} s. `{make('alerts')}` shows it.")
        return 0
    if has_receiver:
        print(f"The receiver of ALERT_WEBHOOK_URL got the message {id_} after {seconds:.1f} s. Look for it there.")
        return 0
    print("There is no receiver: ALERT_WEBHOOK_URL is empty, so nobody gets alerts.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())

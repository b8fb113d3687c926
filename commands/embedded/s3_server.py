"""S3 and SQS (moto), behind the guard."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from commands.embedded.kept_objects import KeptObjects
from services.guard.settings import GuardSettings
from services.guard.wsgi import WsgiGuard


@contextmanager
def s3_server(port: int, folder: Path) -> Iterator[int]:
    """Serve on a port of 127.0.0.1 until the block ends. 0 chooses a free port. Yield the port.

    The objects are kept in `folder`.
    """
    # S3's clients send bodies of any type, so only Host, Origin and Sec-Fetch-Site are checked.
    rules = GuardSettings().rules(buckets=True, json_only=False)
    app = WsgiGuard(KeptObjects(DomainDispatcherApplication(create_backend_app), folder), rules)
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=MotoRequestHandler)
    Thread(target=server.serve_forever, name="S3", daemon=True).start()
    try:
        yield server.port
    finally:
        server.shutdown()
        server.server_close()

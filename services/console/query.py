"""SQL on the published tables in a child process, which has no secret and ends at its limits.

As a program it reads a request as JSON from standard input and prints the answer as JSON.
"""

import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

from anyio import fail_after, run_process

from blocks.published import SECONDS, TOO_LARGE, Answer, QueryFailed, read

LIMITED = f"""
# Where a container's memory ends, this process goes and not the page.
echo 1000 > /proc/self/oom_score_adj
# No core file, no other file, twice the time, and in KiB what DuckDB's own limit leaves room for.
ulimit -c 0
ulimit -f 0
ulimit -t {2 * SECONDS:.0f}
ulimit -d 750000
exec "$0" -P -s -m services.console.query
"""
"""How the shell starts the child: the system ends it where DuckDB's own limits do not. Some systems lack a limit."""


async def ask(published: Path, sql: str) -> Answer:
    """Run statements in a child process, and return the rows of the last one that has some.

    The child ends when this is cancelled.

    Raises:
        QueryFailed: DuckDB refuses, a limit is reached, or nothing is published.
    """
    if not published.exists():
        raise QueryFailed("Nothing is published yet. Run the flow full_pipeline first.")
    begun = time.monotonic()
    command = ["/bin/sh", "-c", LIMITED, sys.executable]
    request = json.dumps({"published": str(published), "sql": sql}).encode()
    try:
        with fail_after(SECONDS):
            done = await run_process(command, input=request, check=False, cwd="/", env={"PYTHONDONTWRITEBYTECODE": "1"})
        if done.returncode > 0:  # a fault of ours; the system ends it by a signal
            last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            raise QueryFailed(f"The answer cannot be shown: {last or f'exit code {done.returncode}'}")
        answer = json.loads(done.stdout)
    except TimeoutError:
        raise QueryFailed(f"The query was ended after {SECONDS:g} s. Narrow it down, for example with WHERE.") from None
    except ValueError:  # the system ended it
        raise QueryFailed(TOO_LARGE) from None
    if "error" in answer:
        raise QueryFailed(answer["error"])
    return replace(Answer(**answer), seconds=time.monotonic() - begun)


def main() -> None:
    """Answer one request."""
    request = json.load(sys.stdin)
    try:
        told = asdict(read(Path(request["published"]), request["sql"]))
    except QueryFailed as error:
        told = {"error": str(error)}
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()

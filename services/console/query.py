"""SQL on the published tables in a child process, which has no secrets and cannot exceed its limits.

As a program, this module reads a JSON request from standard input and prints the answer as JSON.
"""

import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

from anyio import fail_after, run_process

from blocks.published import SECONDS, TOO_LARGE, Answer, QueryFailed, read

LIMITED = f"""
# If a container runs out of memory, this process is killed and not the page.
echo 1000 > /proc/self/oom_score_adj
# No core file, no other file, twice the CPU time, and in KiB the memory that DuckDB's own limit leaves room for.
ulimit -c 0
ulimit -f 0
ulimit -t {2 * SECONDS:.0f}
ulimit -d 750000
exec "$0" -P -s -m services.console.query
"""
"""The shell script that starts the child, with limits in case DuckDB's own fail. Some systems lack one of them."""


async def ask(published: Path, sql: str) -> Answer:
    """Run statements in a child process, and return the rows of the last one that returns rows.

    The child is killed if this call is cancelled.

    Raises:
        QueryFailed: DuckDB reports an error, a limit is reached, or nothing is published.
    """
    if not published.exists():
        raise QueryFailed("Nothing is published yet. Run the flow full_pipeline first.")
    begun = time.monotonic()
    command = ["/bin/sh", "-c", LIMITED, sys.executable]
    request = json.dumps({"published": str(published), "sql": sql}).encode()
    try:
        with fail_after(SECONDS):
            done = await run_process(command, input=request, check=False, cwd="/", env={"PYTHONDONTWRITEBYTECODE": "1"})
        if done.returncode > 0:  # an error in this code; a limit would have killed it by a signal
            last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            raise QueryFailed(f"The answer cannot be shown: {last or f'exit code {done.returncode}'}")
        answer = json.loads(done.stdout)
    except TimeoutError:
        raise QueryFailed(
            f"The query was stopped after {SECONDS:g} s. Narrow it down, for example with WHERE."
        ) from None
    except ValueError:  # the system killed it
        raise QueryFailed(TOO_LARGE) from None
    if "error" in answer:
        raise QueryFailed(answer["error"])
    return replace(Answer(**answer), seconds=time.monotonic() - begun)


def main() -> None:
    """Answer one request."""
    request = json.load(sys.stdin)
    try:
        answer = asdict(read(Path(request["published"]), request["sql"]))
    except QueryFailed as error:
        answer = {"error": str(error)}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()

"""What a failure of a load is called: by its type, and in a sentence that says what helps."""

import errno
import re
from pathlib import Path

import duckdb
from botocore.exceptions import ClientError, NoCredentialsError

from services.airbyte.protocol import SyncTask

MOST_MESSAGE = 2000
"""Characters of a failure's message: a parser may quote the whole row."""
WRONG_SETTINGS = {
    **dict.fromkeys(("NoSuchBucket", "404"), "Correct the bucket's name."),
    **dict.fromkeys(
        ("AccessDenied", "403"),
        "Let this user list the bucket and read it: docs/production/aws-airbyte.json has the policy.",
    ),
    **dict.fromkeys(("InvalidAccessKeyId", "SignatureDoesNotMatch"), "Correct the access key."),
    **dict.fromkeys(("ExpiredToken", "InvalidToken"), "Replace the temporary access key and its token."),
    **dict.fromkeys(("PermanentRedirect", "AuthorizationHeaderMalformed", "301"), "Correct the region."),
}
"""What helps against S3's codes that another try does not change."""


def s3_failure(error: Exception, task: SyncTask) -> tuple[str, str]:
    where = f"bucket {task.bucket}" + (f" at {task.s3.endpoint_url}" if task.s3.endpoint_url else "")
    if isinstance(error, NoCredentialsError):
        return "config_error", f"S3 ({where}): no credentials. Set MOCK_AIRBYTE_S3_ACCESS_KEY_ID or AWS_ACCESS_KEY_ID."
    # boto3 asks for the bucket's region, and is redirected again; its HTTP client may be what meets the limit.
    if isinstance(error, RecursionError) or "maximum recursion depth" in str(error):
        return (
            "config_error",
            f"S3 ({where}): each request is answered by a redirect. Correct the endpoint or the region.",
        )
    code = error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else ""
    if helps := WRONG_SETTINGS.get(code):
        return "config_error", f"S3 ({where}): {error}. {helps}"
    return "transient_error", f"S3 ({where}): {error}"


def unforeseen(error: Exception, key: str) -> str:
    where = f"reading {key}" if key else "preparing the stream"
    return (
        f"An unexpected error occurred while {where}: {type(error).__name__}: {error}. Sync again. If it happens "
        "again, report it with the traceback in the mock's log."
    )


def local_failure(error: OSError | duckdb.Error, place: str, key: str) -> str:
    text = str(error).splitlines()[0]
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
    if full or re.search(r"No space left|File too large|quota exceeded", text, re.IGNORECASE):
        return f"no room to write {key} into {place}: {text}. Free some space and sync again."
    if isinstance(error, duckdb.OutOfMemoryException):
        return f"{key} needs more memory than MOCK_AIRBYTE_MEMORY_LIMIT allows: {text}. Raise it and sync again."
    return f"cannot write {key} into {place}: {text}"


def shortened(message: str, work_dir: str, key: str) -> str:
    """A failure's text without its middle if it is long, and with the object's key in place of the mock's own copy."""
    message = re.sub(rf"{re.escape(str(Path(work_dir)))}/.*?-[0-9a-f]{{16}}(\.\w+)?", lambda _: key, message)
    if len(message) <= MOST_MESSAGE:
        return message
    return f"{message[: MOST_MESSAGE // 2]} ... {message[-MOST_MESSAGE // 2 :]}"

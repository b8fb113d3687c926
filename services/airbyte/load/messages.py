"""Turn the errors of a load into Airbyte's failure types and messages that say what to do."""

import errno
import re
from pathlib import Path

import duckdb
from botocore.exceptions import ClientError, NoCredentialsError

from services.airbyte.protocol import SyncTask

MAX_MESSAGE_LENGTH = 2000
"""The most characters of a failure's message. A parser's error may quote a whole row."""
FIXES = {
    **dict.fromkeys(("NoSuchBucket", "404"), "Correct the bucket's name."),
    **dict.fromkeys(
        ("AccessDenied", "403"),
        "Let this user list the bucket and read it: docs/production/aws-airbyte.json has the policy.",
    ),
    **dict.fromkeys(("InvalidAccessKeyId", "SignatureDoesNotMatch"), "Correct the access key."),
    **dict.fromkeys(("ExpiredToken", "InvalidToken"), "Replace the temporary access key and its token."),
    **dict.fromkeys(("PermanentRedirect", "AuthorizationHeaderMalformed", "301"), "Correct the region."),
}
"""What to do about S3's error codes that a retry does not fix."""


def s3_failure(error: Exception, task: SyncTask) -> tuple[str, str]:
    where = f"bucket {task.bucket}" + (f" at {task.s3.endpoint_url}" if task.s3.endpoint_url else "")
    if isinstance(error, NoCredentialsError):
        return "config_error", f"S3 ({where}): no credentials. Set MOCK_AIRBYTE_S3_ACCESS_KEY_ID or AWS_ACCESS_KEY_ID."
    # boto3 requests the bucket's region and is redirected again. The recursion limit may be hit in its HTTP client.
    if isinstance(error, RecursionError) or "maximum recursion depth" in str(error):
        return (
            "config_error",
            f"S3 ({where}): every request is redirected. Correct the endpoint or the region.",
        )
    code = error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else ""
    if fix := FIXES.get(code):
        return "config_error", f"S3 ({where}): {error}. {fix}"
    return "transient_error", f"S3 ({where}): {error}"


def unexpected_failure(error: Exception, key: str) -> str:
    where = f"reading {key}" if key else "preparing the stream"
    return (
        f"An unexpected error occurred while {where}: {type(error).__name__}: {error}. Sync again. If it happens "
        "again, report it with the traceback in the mock's log."
    )


def local_failure(error: OSError | duckdb.Error, place: str, key: str) -> str:
    text = str(error).splitlines()[0]
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
    if full or re.search(r"No space left|File too large|quota exceeded", text, re.IGNORECASE):
        return f"There is no space to write {key} to {place}: {text}. Free some space and sync again."
    if isinstance(error, duckdb.OutOfMemoryException):
        return f"{key} needs more memory than MOCK_AIRBYTE_MEMORY_LIMIT allows: {text}. Raise it and sync again."
    return f"Cannot write {key} to {place}: {text}"


def shortened(message: str, work_dir: str, key: str) -> str:
    """Cut the middle out of a long message, and replace the path of the mock's local copy by the object's key."""
    message = re.sub(rf"{re.escape(str(Path(work_dir)))}/.*?-[0-9a-f]{{16}}(\.\w+)?", lambda _: key, message)
    if len(message) <= MAX_MESSAGE_LENGTH:
        return message
    return f"{message[: MAX_MESSAGE_LENGTH // 2]} ... {message[-MAX_MESSAGE_LENGTH // 2 :]}"

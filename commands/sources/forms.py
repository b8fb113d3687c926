"""The ways to write dates and numbers in addition to ISO 8601 and SQL."""

import re

from services.airbyte.formats import sql

COMPACT = "YYYYMMDD"
DAYS = {
    COMPACT: "(19|20)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])",
    "YYYY/MM/DD": "[0-9]{4}/[0-9]{1,2}/[0-9]{1,2}",
    "YYYY.MM.DD": "[0-9]{4}[.][0-9]{1,2}[.][0-9]{1,2}",
    **{
        order.replace("/", mark): "[0-9]{1,2}%s[0-9]{1,2}%s[0-9]{4}" % ((f"[{mark}]",) * 2)
        for mark in "/-."
        for order in ("DD/MM/YYYY", "MM/DD/YYYY")
    },
    "DD-MON-YYYY": "[0-9]{1,2}-[A-Za-z]{3}-[0-9]{4}",
    "DD MON YYYY": "[0-9]{1,2} [A-Za-z]{3} [0-9]{4}",
    "MON DD, YYYY": "[A-Za-z]{3} [0-9]{1,2}, [0-9]{4}",
    "MON DD YYYY": "[A-Za-z]{3} [0-9]{1,2} [0-9]{4}",
}
"""The date formats in addition to ISO 8601, in Snowflake's notation, each with a regular expression."""
NUMBERS = {
    "1,234.56": (",", "."),
    "1.234,56": (".", ","),
    "1 234,56": (" ", ","),
    "1'234.56": ("'", "."),
    "1234,56": ("", ","),
}
"""The number formats in addition to SQL's, each with its thousands separator and its decimal mark."""
SPACED = "1 234,56"
NO_CODE = "-?(0([^0-9].*)?|[1-9].*)"
"""A regular expression for a number without a plus sign or leading zeros."""
TIMES = {
    "HH24:MI:SS": "[0-9]{1,2}:[0-9]{2}:[0-9]{2}",
    "HH24:MI": "[0-9]{1,2}:[0-9]{2}",
    "HH12:MI:SS AM": "[0-9]{1,2}:[0-9]{2}:[0-9]{2} [AaPp][Mm]",
    "HH12:MI AM": "[0-9]{1,2}:[0-9]{2} [AaPp][Mm]",
}
STRPTIME = {
    "YYYY": "%Y", "MON": "%b", "MM": "%m", "DD": "%d", "HH24": "%H", "HH12": "%I", "MI": "%M", "SS": "%S", "AM": "%p"
}  # fmt: skip


def strptime(form: str) -> str:
    """Convert a date format to the notation of DuckDB's strptime."""
    parts = re.split("(YYYY|MON|MM|DD|HH24|HH12|MI|SS|AM)", form)
    return "".join(STRPTIME.get(part, part) for part in parts)


def plain_number(text: str, form: str) -> str:
    """Return SQL that converts the text of a number in a format to SQL's own notation."""
    thousands, point = NUMBERS[form]
    without = f"replace({text}, {sql.text(thousands)}, '')" if thousands else text
    return f"replace({without}, {sql.text(point)}, '.')"


def number_shape(form: str, fraction: str) -> str:
    """Return a regular expression for numbers in a format. `fraction` matches the digits after the decimal mark."""
    thousands, point = (f"[{mark}]" if mark else "" for mark in NUMBERS[form])
    grouped = f"[0-9]{{1,3}}({thousands}[0-9]{{3}})+|" if thousands else ""
    return f"[+-]?({grouped}[0-9]+)({point}{fraction})?"

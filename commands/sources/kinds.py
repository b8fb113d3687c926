"""Finds the type of each column: the narrowest that holds every value without loss. It checks every row."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb

from commands.sources.forms import COMPACT, DAYS, NO_CODE, NUMBERS, SPACED, TIMES, number_shape, plain_number, strptime
from services.airbyte.formats import sql

NULLS = ("na", "n/a", "#n/a", "null", "none", "nil", "nan", "\\n", "-", "--", "?", ".")
"""Texts, in lower case, that mean null in a column whose other values have a type."""
WORDS = ("true", "false", "yes", "no", "t", "f", "y", "n")
PAIRS = (("true", "false"), ("yes", "no"), ("t", "f"), ("y", "n"))
CODES = re.compile(
    r"(^|_)(zip|zipcode|postal|postcode|plz|phone|telephone|tel|mobile|fax|ssn|ean|isbn|iban|fips)(_|$)|zip_?code|post(al)?_?code"
)
"""Names of columns whose digits are a code and not a number."""
FIRST_VALUES = 20
"""How many values narrow down the candidate types by their look."""
SAMPLE_ROWS = 20_000
"""How many rows narrow down the candidate types further. The remaining ones are checked against every row."""
ZONE = "(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)"
NAMED_DATE = re.compile(r"(^|_)(date|day|datum|dt)(_|$)|date$")
"""Names of columns whose eight digits are a date and not a number."""
ISO_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
ISO_TIME = f"{ISO_DAY}([ T]([01][0-9]|2[0-3]):[0-9]{{2}}(:[0-9]{{2}}([.][0-9]{{1,6}}0*)?)?)"
LOOKS = {
    "a number with thousands separators": "-?[0-9]{1,3}([., '][0-9]{3})+([.,][0-9]+)?",
    "an amount with a currency": "-?[$€£¥] ?[0-9.,]+|-?[0-9.,]+ ?[$€£¥]",
    "a percentage": r"-?[0-9.,]+ ?%",
    "a number with a decimal comma": "-?[0-9]+,[0-9]+",
    "a number with leading zeros or a sign": r"([+][0-9]|0[0-9]|-0[0-9])[0-9.]*",
    "a whole number of more than 64 bits": "-?[0-9]{19,}",
    "a time of day": "[0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?",
    "a time with more than six decimals of a second": f"{ISO_DAY}[ T][0-9:]{{8}}[.][0-9]{{7,}} ?({ZONE})?",
    "a date with a two-digit year": "[0-9]{1,2}[-/.][0-9]{1,2}[-/.][0-9]{2}",
}
"""What some texts look like that stay text, each with a regular expression."""

WORDS_FOR = {"bigint": "whole numbers", "date": "dates", "timestamp": "times", "timestamptz": "times with a zone"}
"""What the values of some types are called. Those of the other types are numbers."""
IS_CODE = "stays text: judging by its name, its digits are a code"


@dataclass
class Column:
    """A column of the file, and what was found out about it.

    `name` is the file's, `type` is the type in sources.yml and `mock_type` the mock's. `format` says how dates or
    numbers are written. `spelled` counts the spellings of null, and `notes` are for a person.
    """

    name: str
    mock_type: str
    type: str = "varchar"
    nulls: int = 0
    distinct: int = 0
    format: str = ""
    spelled: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    identifier: str = ""


@dataclass(frozen=True)
class Kind:
    """A type, perhaps with a format, and SQL that is true if a text is a value of it.

    `shape` is a regular expression that every value matches. `some` is SQL that must be true for at least one value.
    """

    type: str
    shape: str
    test: str
    format: str = ""
    some: str = "true"

    def may_be(self, text: str) -> bool:
        """Return whether a text looks like a value of this kind."""
        return bool(re.fullmatch(self.shape, text))


def _kind(type_: str, shape: str, value: str, form: str = "", some: str = "true") -> Kind:
    """Return the kind of the texts that match `shape` and for which the SQL `value` is true."""
    return Kind(type_, shape, f"(regexp_full_match(t, {sql.text(shape)}) AND {value})", form, some)


def _kinds() -> Iterator[Kind]:
    yield _kind("boolean", f"(?i:{'|'.join(WORDS)})", "true")
    yield _kind("bigint", "0|-?[1-9][0-9]{0,18}", "TRY_CAST(t AS BIGINT) IS NOT NULL")
    plain = "-?((0|[1-9][0-9]*)[.]?[0-9]*|[.][0-9]+)"
    yield _kind("decimal", plain, "length(translate(t, '-.', '')) <= 38", some="contains(t, '.')")
    yield _kind("double", sql.PLAIN, sql.is_exact("t", "TRY_CAST(t AS DOUBLE)"))
    yield _kind("date", ISO_DAY, "TRY_CAST(t AS DATE) IS NOT NULL")
    yield _kind("timestamp", ISO_TIME, "TRY_CAST(t AS TIMESTAMP) IS NOT NULL")
    yield _kind("timestamptz", f"{ISO_TIME} ?{ZONE}", "TRY_CAST(t AS TIMESTAMPTZ) IS NOT NULL")
    for form, (thousands, point) in NUMBERS.items():
        digits = "length(regexp_replace(t, '[^0-9]', '', 'g')) <= 38"
        test = f"regexp_full_match(t, {sql.text(NO_CODE)}) AND {digits}"
        mark = f"contains(t, {sql.text(thousands or point)})"
        yield _kind("decimal", number_shape(form, "[0-9]+"), test, form, mark)
    forms = {form: ("date", shape) for form, shape in DAYS.items()}
    for (day, shape), (clock, time) in itertools.product(DAYS.items(), TIMES.items()):
        if day == COMPACT:
            continue
        forms[f"{day} {clock}"] = ("timestamp", f"{shape} {time}")
    for form, (type_, shape) in forms.items():
        yield _kind(type_, shape, f"try_strptime(t, {sql.text(strptime(form))}) IS NOT NULL", form)


KINDS = tuple(_kinds())
IS_NULL = f"lower(t) IN ({', '.join(map(sql.text, NULLS))})"


class Columns:
    """Finds the type of each column in a Parquet file with text and typed columns, as the mock writes it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, relation: str, rows: int) -> None:
        self._connection, self._relation, self._rows = connection, relation, rows

    def find_types(self, columns: Sequence[Column], decimals: Mapping[str, str], text: bool) -> None:
        """Set the type of each column, and what was found out about it.

        Args:
            columns: the file's columns.
            decimals: the types of Parquet's decimal columns, by name.
            text: whether all values of the file are text, as in CSV. In other files, text stays text, except dates.
        """
        for column in columns:
            self._count(column, text)
            if column.name in decimals:
                column.type = decimals[column.name]
            elif column.mock_type == "string":
                column.type = "varchar" if text else "text"
                self._find(column, KINDS if text else [kind for kind in KINDS if kind.type in TIMES_OF_TEXT])
            else:
                column.type = TYPES[column.mock_type]
                if column.type == "json":
                    column.paths = self._paths(column)

    def _count(self, column: Column, text: bool) -> None:
        value = sql.name(column.name)
        if text:
            value = f"nullif({value}, '')"
        shown = f"CASE WHEN count(DISTINCT {value}) <= {MOST_VALUES} THEN list(DISTINCT {value}::VARCHAR) END"
        query = f"SELECT count(*) - count({value}), count(DISTINCT {value}) FROM {self._relation}"
        column.nulls, column.distinct = self._one(query)
        if column.mock_type == "string" and column.distinct <= MOST_VALUES:
            found = self._one(f"SELECT {shown} FROM {self._relation}")[0]
            column.values = sorted(value for value in found or [] if value is not None)
        if column.nulls == self._rows:
            column.notes.append("has no value")

    def _find(self, column: Column, kinds: Sequence[Kind]) -> None:
        if column.nulls == self._rows:
            return
        first = self._connection.execute(f"{self._texts(column)} AND NOT {IS_NULL} LIMIT {FIRST_VALUES}").fetchall()
        matches = {kind: sum(kind.may_be(text) for (text,) in first) for kind in kinds}
        possible = [kind for kind in kinds if matches[kind] == len(first)] if first else []
        possible = self._kinds_that_fit(column, possible, f" LIMIT {SAMPLE_ROWS}") if possible else []
        fitting = self._kinds_that_fit(column, possible, "") if possible else []
        fitting = [kind for kind in fitting if self._is_plausible(column, kind, fitting)]
        if not fitting:
            self._note_text(column, [kind for kind in kinds if first and matches[kind] * 2 >= len(first)])
        elif len(fitting) > 1 and fitting[0].format:
            forms = " and as ".join(kind.format for kind in fitting)
            what = "numbers" if fitting[0].type == "decimal" else "dates"
            column.notes.append(f"stays text: its {what} can be read as {forms}")
        else:
            kind = fitting[0]
            column.type, column.format = kind.type, kind.format
            if kind.type == "decimal":
                column.type = self._decimal(column, any(each.type == "double" for each in fitting))
            self._note_spellings(column)

    def _kinds_that_fit(self, column: Column, kinds: Sequence[Kind], limit: str) -> list[Kind]:
        """Return the kinds that fit every value, except spellings of null, and that at least one value has."""
        tests = [f"bool_and({kind.test} OR {IS_NULL}) AND bool_or({kind.test} AND {kind.some})" for kind in kinds]
        found = self._one(f"SELECT {', '.join(tests)} FROM ({self._texts(column)}{limit})")
        return [kind for kind, fits in zip(kinds, found, strict=True) if fits]

    def _is_plausible(self, column: Column, kind: Kind, fitting: Sequence[Kind]) -> bool:
        is_date = bool(NAMED_DATE.search(column.identifier)) and any(each.format == COMPACT for each in fitting)
        if is_date or kind.format == COMPACT:
            return is_date and kind.format == COMPACT
        if kind.type in ("bigint", "decimal", "double") and CODES.search(column.identifier):
            if IS_CODE not in column.notes:
                column.notes.append(IS_CODE)
            return False
        if kind.format == SPACED:  # digits with spaces and of one length are rather a code
            return bool(self._one(f"SELECT count(DISTINCT length(t)) > 1 FROM ({self._texts(column)})")[0])
        if kind.type == "boolean":
            values = {value.strip().lower() for value in column.values} - set(NULLS)
            return any(values == set(pair) for pair in PAIRS) or values <= {"true", "false"}
        return True

    def _decimal(self, column: Column, is_exact: bool) -> str:
        """Return a decimal that keeps every digit, with room for larger values, or a double for an exact measure."""
        text = plain_number("t", column.format) if column.format else "t"
        whole, part = f"split_part(ltrim({text}, '+-'), '.', 1)", f"split_part({text}, '.', 2)"
        query = f"SELECT max(length({whole})), max(length({part})) FROM ({self._texts(column)}) WHERE NOT {IS_NULL}"
        before, scale = self._one(query)
        if column.format and not scale and before <= BIGINT_DIGITS:
            return "bigint"
        if scale > MONEY_DECIMALS and is_exact:
            return "double"
        return f"decimal({18 if before + scale <= 15 else 38},{scale})"

    def _note_spellings(self, column: Column) -> None:
        query = f"SELECT t, count(*) FROM ({self._texts(column)}) WHERE {IS_NULL} GROUP BY ALL ORDER BY ALL"
        column.spelled = dict(self._connection.execute(query).fetchall())
        column.nulls += sum(column.spelled.values())
        if column.type == "boolean":
            column.notes.append(f"boolean, spelled {' and '.join(column.values)}")
        if column.spelled:
            listed = ", ".join(f"{text!r} ({count:,})" for text, count in column.spelled.items())
            column.notes.append(f"taken for null: {listed}")
            column.distinct -= len(column.spelled)

    def _note_text(self, column: Column, kinds: Sequence[Kind]) -> None:
        """Note why a column stays text although its values look like something else."""
        if column.notes:
            return
        texts, others = self._texts(column), "true"
        values, nulls = self._one(f"SELECT count(*), count(*) FILTER ({IS_NULL}) FROM ({texts})")
        if main := self._main_kind(column, kinds, values - nulls):
            kind, count = main
            others = f"NOT {IS_NULL} AND NOT coalesce({kind.test}, false)"
        tests = [f"count(*) FILTER (regexp_full_match(t, {sql.text(shape)}) AND {others})" for shape in LOOKS.values()]
        looks = dict(zip(LOOKS, self._one(f"SELECT {', '.join(tests)} FROM ({texts})"), strict=True))
        what = max(looks, key=lambda each: looks[each])
        left = values - nulls - (count if main else 0)
        if looks[what] and looks[what] * 2 >= left:
            column.notes.append(f"stays text: {looks[what]:,} of {values:,} values look like {what}")
        elif main and left:
            (example,) = self._one(f"SELECT t FROM ({texts}) WHERE {others} LIMIT 1")
            summary = f"{count:,} of {values:,} values are {WORDS_FOR.get(kind.type, 'numbers')}"
            column.notes.append(f"stays text: {summary}, and {example[:40]!r} is not")
        beginning = f"regexp_matches({sql.name(column.name)}, '^ +[\"'']')"
        if column.mock_type == "string" and (
            quoted := self._one(f"SELECT count(*) FROM {self._relation} WHERE {beginning}")[0]
        ):
            column.notes.append(f"{quoted:,} values begin with a space and a quotation mark, as in the file")
        if nulls:
            column.notes.append(f"{nulls:,} values such as NA stay text")

    def _main_kind(self, column: Column, kinds: Sequence[Kind], values: int) -> tuple[Kind, int] | None:
        """Return the kind that fits most values, if it fits at least half of them, and how many it fits."""
        if not (kinds := [kind for kind in kinds if kind.type != "boolean"]):
            return None
        counts = ", ".join(f"count(*) FILTER ({kind.test} AND NOT {IS_NULL})" for kind in kinds)
        found = self._one(f"SELECT {counts} FROM ({self._texts(column)} LIMIT {SAMPLE_ROWS})")
        _, kind = max(zip(found, kinds, strict=True), key=lambda each: each[0])
        (count,) = self._one(f"SELECT count(*) FILTER ({kind.test} AND NOT {IS_NULL}) FROM ({self._texts(column)})")
        return (kind, count) if count and count * 2 >= values else None

    def _texts(self, column: Column) -> str:
        value = f"trim({sql.name(column.name)})"
        return f"SELECT {value} AS t FROM {self._relation} WHERE {value} <> ''"

    def _paths(self, column: Column) -> list[str]:
        """Return the paths of the values in a nested column, as far as the first rows show them."""
        name = sql.name(column.name)
        rows = f"SELECT {name} AS v FROM {self._relation} WHERE {name} IS NOT NULL LIMIT {SAMPLE_ROWS}"
        path = "regexp_replace(fullkey, '\\[[0-9]+\\]', '[*]', 'g')"
        query = (
            f"SELECT DISTINCT {path} AS path FROM ({rows}) AS f, json_tree(f.v) WHERE atom IS NOT NULL ORDER BY path"
        )
        return [row[0] for row in self._connection.execute(query).fetchall()]

    def _one(self, query: str) -> tuple[Any, ...]:
        row = self._connection.execute(query).fetchone()
        return row or ()


MOST_VALUES = 12
MONEY_DECIMALS = 9
"""How many decimals an amount or a rate may have. Values with more are measures."""
BIGINT_DIGITS = 18
"""How many digits a `bigint` can always hold."""
TIMES_OF_TEXT = ("date", "timestamp", "timestamptz")
TYPES = {
    "integer": "bigint",
    "number": "double",
    "boolean": "boolean",
    "timestamp_with_timezone": "timestamptz",
    "timestamp_without_timezone": "timestamp",
    "date": "date",
    "object": "json",
    "array": "json",
    "union": "json",
}
"""The type in sources.yml for each of the mock's types."""

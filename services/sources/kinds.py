"""Which type a column has: the narrowest that holds every value whole, by a look at all of them."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb

from services.airbyte import sql
from services.sources.forms import COMPACT, DAYS, NO_CODE, NUMBERS, SPACED, TIMES, number_shape, plain_number, strptime

NULLS = ("na", "n/a", "#n/a", "null", "none", "nil", "nan", "\\n", "-", "--", "?", ".")
"""Texts, in lower case, that stand for null in a column whose other values are of a type."""
WORDS = ("true", "false", "yes", "no", "t", "f", "y", "n")
PAIRS = (("true", "false"), ("yes", "no"), ("t", "f"), ("y", "n"))
CODES = re.compile(
    r"(^|_)(zip|zipcode|postal|postcode|plz|phone|telephone|tel|mobile|fax|ssn|ean|isbn|iban|fips)(_|$)|zip_?code|post(al)?_?code"
)
"""Names of columns whose digits are a code and not a quantity."""
FIRST = 20
"""Values that tell which types it may have by their look."""
SAMPLE = 20_000
"""Rows that tell which types a column may have at all; every row is then asked about these."""
ZONE = "(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)"
NAMED_DATE = re.compile(r"(^|_)(date|day|datum|dt)(_|$)|date$")
"""Names of columns whose eight digits are a date and not a number."""
ISO_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
ISO_TIME = f"{ISO_DAY}([ T]([01][0-9]|2[0-3]):[0-9]{{2}}(:[0-9]{{2}}([.][0-9]{{1,6}}0*)?)?)"
LIKE = {
    "a number with separators of thousands": "-?[0-9]{1,3}([., '][0-9]{3})+([.,][0-9]+)?",
    "an amount of a currency": "-?[$€£¥] ?[0-9.,]+|-?[0-9.,]+ ?[$€£¥]",
    "a percentage": r"-?[0-9.,]+ ?%",
    "a number with a decimal comma": "-?[0-9]+,[0-9]+",
    "a number with leading zeros or a sign": r"([+][0-9]|0[0-9]|-0[0-9])[0-9.]*",
    "a whole number of more than 64 bits": "-?[0-9]{19,}",
    "a time of day": "[0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?",
    "a time with more than six digits of a second": f"{ISO_DAY}[ T][0-9:]{{8}}[.][0-9]{{7,}} ?({ZONE})?",
    "a date with two digits of the year": "[0-9]{1,2}[-/.][0-9]{1,2}[-/.][0-9]{2}",
}
"""What text may look like that nevertheless stays text, and how to recognize it."""

WORDS_FOR = {"bigint": "whole numbers", "date": "dates", "timestamp": "times", "timestamptz": "times with a zone"}
"""How the values of some types are called; those of the others are numbers."""
IS_CODE = "stays text: its name says that its digits are a code"


@dataclass
class Column:
    """A column of the file, and what was found of it.

    `name` is the file's, `type` the one in sources.yml and `mock_type` the mock's. `format` says how dates are written,
    `nulls` and `booleans` the spellings that were taken for these with how often each is there, and `notes` what a
    person should know.
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
    """A type, perhaps with a form, and SQL that is true for a text that is a whole value of it.

    `shape` is a regular expression that each of them matches, and `some` SQL that is true for one of them at least.
    """

    type: str
    shape: str
    test: str
    format: str = ""
    some: str = "true"

    def may_be(self, text: str) -> bool:
        """Whether a text looks so."""
        return bool(re.fullmatch(self.shape, text))


def _kind(type_: str, shape: str, value: str, form: str = "", some: str = "true") -> Kind:
    """A kind of the texts that match `shape` and of which the SQL `value` is true."""
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
    """Finds the type of each column of a Parquet file of text and typed columns, as the mock writes them."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, relation: str, rows: int) -> None:
        self._connection, self._relation, self._rows = connection, relation, rows

    def look(self, columns: Sequence[Column], decimals: Mapping[str, str], text: bool) -> None:
        """Set what each column is.

        Args:
            columns: of the file.
            decimals: the types of Parquet's decimals by name.
            text: whether the file has text alone, as CSV: text in other files is what it is, but for dates.
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
        few = self._connection.execute(f"{self._texts(column)} AND NOT {IS_NULL} LIMIT {FIRST}").fetchall()
        alike = {kind: sum(kind.may_be(text) for (text,) in few) for kind in kinds}
        possible = [kind for kind in kinds if alike[kind] == len(few)] if few else []
        possible = self._fitting(column, possible, f" LIMIT {SAMPLE}") if possible else []
        fitting = self._fitting(column, possible, "") if possible else []
        fitting = [kind for kind in fitting if self._is_meant(column, kind, fitting)]
        if not fitting:
            self._note_text(column, [kind for kind in kinds if few and alike[kind] * 2 >= len(few)])
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

    def _fitting(self, column: Column, kinds: Sequence[Kind], limit: str) -> list[Kind]:
        """The kinds of which every value is that is not a spelling of null, and at least one."""
        tests = [f"bool_and({kind.test} OR {IS_NULL}) AND bool_or({kind.test} AND {kind.some})" for kind in kinds]
        found = self._one(f"SELECT {', '.join(tests)} FROM ({self._texts(column)}{limit})")
        return [kind for kind, fits in zip(kinds, found, strict=True) if fits]

    def _is_meant(self, column: Column, kind: Kind, fitting: Sequence[Kind]) -> bool:
        is_date = bool(NAMED_DATE.search(column.identifier)) and any(each.format == COMPACT for each in fitting)
        if is_date or kind.format == COMPACT:
            return is_date and kind.format == COMPACT
        if kind.type in ("bigint", "decimal", "double") and CODES.search(column.identifier):
            if IS_CODE not in column.notes:
                column.notes.append(IS_CODE)
            return False
        if kind.format == SPACED:  # of one length and with blanks between its digits it is rather a code
            return bool(self._one(f"SELECT count(DISTINCT length(t)) > 1 FROM ({self._texts(column)})")[0])
        if kind.type == "boolean":
            values = {value.strip().lower() for value in column.values} - set(NULLS)
            return any(values == set(pair) for pair in PAIRS) or values <= {"true", "false"}
        return True

    def _decimal(self, column: Column, is_exact: bool) -> str:
        """The decimal that keeps every digit, with room for larger values; a double for a measure if it keeps them."""
        text = plain_number("t", column.format) if column.format else "t"
        whole, part = f"split_part(ltrim({text}, '+-'), '.', 1)", f"split_part({text}, '.', 2)"
        query = f"SELECT max(length({whole})), max(length({part})) FROM ({self._texts(column)}) WHERE NOT {IS_NULL}"
        before, scale = self._one(query)
        if column.format and not scale and before <= WHOLE:
            return "bigint"
        if scale > MONEY and is_exact:
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
        """Say what the text looks like that nevertheless stays text."""
        if column.notes:
            return
        texts, others = self._texts(column), "true"
        values, nulls = self._one(f"SELECT count(*), count(*) FILTER ({IS_NULL}) FROM ({texts})")
        if nearly := self._nearly(column, kinds, values - nulls):
            kind, count = nearly
            others = f"NOT {IS_NULL} AND NOT coalesce({kind.test}, false)"
        tests = [f"count(*) FILTER (regexp_full_match(t, {sql.text(shape)}) AND {others})" for shape in LIKE.values()]
        looks = dict(zip(LIKE, self._one(f"SELECT {', '.join(tests)} FROM ({texts})"), strict=True))
        what = max(looks, key=lambda each: looks[each])
        left = values - nulls - (count if nearly else 0)
        if looks[what] and looks[what] * 2 >= left:
            column.notes.append(f"stays text: {looks[what]:,} of {values:,} values look like {what}")
        elif nearly and left:
            (example,) = self._one(f"SELECT t FROM ({texts}) WHERE {others} LIMIT 1")
            said = f"{count:,} of {values:,} values are {WORDS_FOR.get(kind.type, 'numbers')}"
            column.notes.append(f"stays text: {said}, and {example[:40]!r} is not")
        beginning = f"regexp_matches({sql.name(column.name)}, '^ +[\"'']')"
        if column.mock_type == "string" and (
            quoted := self._one(f"SELECT count(*) FROM {self._relation} WHERE {beginning}")[0]
        ):
            column.notes.append(f"{quoted:,} values begin with a blank and a quotation mark, as the file has them")
        if nulls:
            column.notes.append(f"{nulls:,} values such as NA stay text")

    def _nearly(self, column: Column, kinds: Sequence[Kind], values: int) -> tuple[Kind, int] | None:
        """The kind of which most values are, at least half of them, with their number."""
        if not (kinds := [kind for kind in kinds if kind.type != "boolean"]):
            return None
        counts = ", ".join(f"count(*) FILTER ({kind.test} AND NOT {IS_NULL})" for kind in kinds)
        found = self._one(f"SELECT {counts} FROM ({self._texts(column)} LIMIT {SAMPLE})")
        _, kind = max(zip(found, kinds, strict=True), key=lambda each: each[0])
        (count,) = self._one(f"SELECT count(*) FILTER ({kind.test} AND NOT {IS_NULL}) FROM ({self._texts(column)})")
        return (kind, count) if count and count * 2 >= values else None

    def _texts(self, column: Column) -> str:
        value = f"trim({sql.name(column.name)})"
        return f"SELECT {value} AS t FROM {self._relation} WHERE {value} <> ''"

    def _paths(self, column: Column) -> list[str]:
        """The paths of the values in a nested column, as far as the first rows show them."""
        name = sql.name(column.name)
        rows = f"SELECT {name} AS v FROM {self._relation} WHERE {name} IS NOT NULL LIMIT {SAMPLE}"
        path = "regexp_replace(fullkey, '\\[[0-9]+\\]', '[*]', 'g')"
        query = (
            f"SELECT DISTINCT {path} AS path FROM ({rows}) AS f, json_tree(f.v) WHERE atom IS NOT NULL ORDER BY path"
        )
        return [row[0] for row in self._connection.execute(query).fetchall()]

    def _one(self, query: str) -> tuple[Any, ...]:
        row = self._connection.execute(query).fetchone()
        return row or ()


MOST_VALUES = 12
MONEY = 9
"""Digits behind the point that an amount or a rate may have; more are a measure's."""
WHOLE = 18
"""Digits that a `bigint` surely holds."""
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
"""The type in sources.yml for each of the mock's."""

"""Macros for functions and casts that differ between DuckDB and Snowflake. They do what Snowflake documents.

A macro decides by DuckDB's type (`typeof`) at run time, so it also works for columns whose type the parser does not
know. Its argument is wrapped in a list of one element, so that it is computed only once. If the emulator cannot know
Snowflake's result, the macro fails with a message that says so.
"""

from string import Template

from fakesnow.instance import GLOBAL_DATABASE_NAME
from sqlglot import Expr, exp

from services.snowflake.json_macros import json_macros

SCHEMA = f"{GLOBAL_DATABASE_NAME}.main"

_BY_TYPE = Template("list_transform([a], lambda x: case typeof(x) $whens end)[1]")
_OFFSET = r"(:\d\d(\.\d+)?\s*[+-](0[1-9]|1\d|00:?[0-5]?[1-9])(:?\d\d)?|[A-Za-z]+/[A-Za-z_]+)$"

# https://docs.snowflake.com/en/sql-reference/date-time-input-output and .../sql-format-models for the formats
_TEXT = _BY_TYPE.substitute(
    whens="""
    when 'DOUBLE' then case when format('{:.15g}', try_cast(x::varchar as double))::double is distinct from
            try_cast(x::varchar as double)
        then error('The emulator does not know how Snowflake writes the FLOAT ' || x::varchar
            || ' as text, because it has more than 15 digits. Cast it to NUMBER(38, s) first.')
        else replace(format('{:.15g}', try_cast(x::varchar as double)), 'nan', 'NaN') end
    when 'TIMESTAMP' then strftime(try_cast(x::varchar as timestamp), '%Y-%m-%d %H:%M:%S.%g')
    when 'TIMESTAMP WITH TIME ZONE' then
        strftime(try_cast(x::varchar as timestamptz) at time zone 'UTC', '%Y-%m-%d %H:%M:%S.%g') || ' +0000'
    when 'TIME' then left(x::varchar, 8)
    when 'BLOB' then error('The emulator cannot cast BINARY to text. Use HEX_ENCODE.')
    when 'JSON' then case json_type(try_cast(x::varchar as json))
        when 'VARCHAR' then try_cast(x::varchar as json) ->> '$' when 'NULL' then null
        else json(try_cast(x::varchar as json))::varchar end
    else case when regexp_matches(typeof(x), '\\[|STRUCT|MAP') then to_json(x)::varchar else x::varchar end"""
)
_INTEGER = "when 'DOUBLE' then $cast(round(try_cast(x::varchar as double)) as bigint) else $cast(x as bigint)"
_TYPE = _BY_TYPE.substitute(
    whens="""
    when 'JSON' then case json_type(try_cast(x::varchar as json))
        when 'BIGINT' then 'INTEGER' when 'UBIGINT' then 'INTEGER' when 'HUGEINT' then 'INTEGER'
        when 'DOUBLE' then 'DECIMAL' when 'NULL' then 'NULL_VALUE'
        else json_type(try_cast(x::varchar as json)) end
    else error('TYPEOF accepts only a VARIANT. For other types, use SYSTEM$$TYPEOF on Snowflake.')"""
)
# The texts are from https://docs.snowflake.com/en/sql-reference/data-types-logical
_BOOLEAN = Template(
    """list_transform([a], lambda x: case when x is null then null
    when typeof(x) in ('VARCHAR', 'STRING_LITERAL') then case
        when lower(x::varchar) in ('true', 't', 'yes', 'y', 'on', '1') then true
        when lower(x::varchar) in ('false', 'f', 'no', 'n', 'off', '0') then false else $otherwise end
    when typeof(x) = 'JSON' then (try_cast(x::varchar as json) ->> '$$')::boolean
    when typeof(x) = 'BOOLEAN' then x::varchar = 'true'
    else x::varchar::double <> 0 end)[1]"""
)
_UNKNOWN_SCALE = (
    "The emulator does not know the scale of a NUMBER here, which determines the result on Snowflake. "
    "Cast it to NUMBER(38, s) or FLOAT."
)
_MACROS = {
    "sf_text(a)": _TEXT,
    "sf_int(a)": _BY_TYPE.substitute(whens=Template(_INTEGER).substitute(cast="cast")),
    "sf_try_int(a)": _BY_TYPE.substitute(whens=Template(_INTEGER).substitute(cast="try_cast")),
    "sf_bool(a)": _BOOLEAN.substitute(otherwise="error('Boolean value ' || x::varchar || ' is not recognized')"),
    "sf_try_bool(a)": _BOOLEAN.substitute(otherwise="null"),
    "sf_typeof(a)": _TYPE,
    "sf_fit(a, n)": "case when length(a) > n then error('String ''' || a || ''' is too long and would be truncated') "
    "else a end",
    "sf_try_fit(a, n)": "case when length(a) <= n then a end",
    # DuckDB accepts only +00:00; Snowflake also accepts +0000.
    "sf_offset(a)": r"regexp_replace(a::varchar, '\s*([+-]\d\d):?(\d\d)$', '\1:\2')",
    "sf_utc(a)": _BY_TYPE.substitute(
        whens=f"""when 'VARCHAR' then case when regexp_matches(x::varchar, '{_OFFSET}')
        then error('The emulator stores a TIMESTAMP_TZ in UTC and cannot keep the offset of ' || x::varchar
            || '. Load it as TIMESTAMP_LTZ or TIMESTAMP_NTZ, or in UTC.') else x end else x"""
    ),
    # The thresholds of the units are from https://docs.snowflake.com/en/sql-reference/functions/to_timestamp
    "sf_timestamp(a, s)": _BY_TYPE.substitute(
        whens="""when 'VARCHAR' then case when regexp_full_match(x::varchar, '-?[0-9]+')
            then make_timestamp((try_cast(x::varchar as hugeint) * case
                when abs(try_cast(x::varchar as hugeint)) < 31536000000 then 1000000
                when abs(try_cast(x::varchar as hugeint)) < 31536000000000 then 1000 else 1 end
                // case when abs(try_cast(x::varchar as hugeint)) < 31536000000000000 then 1 else 1000 end)::bigint)
            else cast(x::varchar as timestamp) end
        else case when not regexp_matches(typeof(x), 'INT|DECIMAL|DOUBLE') then try_cast(x::varchar as timestamp)
            when s not in (0, 3, 6, 9) or try_cast(x::varchar as double) <> floor(try_cast(x::varchar as double))
            then error('The emulator converts only integers to TIMESTAMP, with the scale 0, 3, 6 or 9.')
            when s = 9 then make_timestamp((try_cast(x::varchar as hugeint) // 1000)::bigint)
            else make_timestamp((try_cast(x::varchar as hugeint) * (10 ** (6 - s))::hugeint)::bigint) end"""
    ),
    # https://docs.snowflake.com/en/sql-reference/functions/months_between
    "sf_months_between(a, b)": """list_transform([struct_pack(x := a::timestamp, y := b::timestamp)], lambda t:
        ((year(t.x) - year(t.y)) * 12 + month(t.x) - month(t.y) + case
        when day(t.x) = day(t.y) or (last_day(t.x) = t.x::date and last_day(t.y) = t.y::date) then 0
        else (day(t.x) - day(t.y) + (epoch(t.x) - epoch(date_trunc('day', t.x)) - epoch(t.y)
            + epoch(date_trunc('day', t.y))) / 86400) / 31 end)::decimal(38, 6))[1]""",
    "sf_sign(a)": "sign(a)::bigint",
    "sf_bytes(a)": f"strlen({SCHEMA}.sf_text(a))",
    "sf_try_timestamp(a)": f"case when regexp_full_match(a::varchar, '-?[0-9]+') then {SCHEMA}.sf_timestamp(a, 0) "
    "else try_cast(a::varchar as timestamp) end",
    # https://docs.snowflake.com/en/sql-reference/functions/width_bucket
    "sf_width_bucket(a, low, high, n)": "case when low >= high then error('The emulator supports WIDTH_BUCKET only "
    "with a minimum below the maximum.') when a < low then 0 when a >= high then n + 1 "
    "else floor((a - low)::double * n / (high - low)::double)::bigint + 1 end",
    "sf_divide(a, b)": f"case when typeof(a) <> 'DOUBLE' and typeof(b) <> 'DOUBLE' then error('{_UNKNOWN_SCALE}') "
    "when b = 0 then error('Division by zero') else a / b end",
    "sf_ratio(a, b, s)": "cast(cast(case when b = 0 then error('Division by zero') else "
    "sign(a) * sign(b) * ((2 * abs(a) + abs(b)) // (2 * abs(b))) end as varchar) || 'e-' || s as varchar)",
    "sf_digits(a, s)": "case when coalesce(nullif(regexp_extract(typeof(a), ',(\\d+)', 1), ''), '0')::int > s "
    f"or typeof(a) = 'DOUBLE' then error('{_UNKNOWN_SCALE}') else replace(a::varchar, '.', '')::hugeint "
    "* (10::hugeint ** (s - coalesce(nullif(regexp_extract(typeof(a), ',(\\d+)', 1), ''), '0')::int))::hugeint end",
    "sf_loose(a)": _BY_TYPE.substitute(
        whens=f"""when 'VARCHAR' then x::varchar::double when 'JSON' then x::varchar::double
        when 'DOUBLE' then x::varchar::double else error('{_UNKNOWN_SCALE}')"""
    ),
}
_OVERLOADED = {
    "sf_trunc": (
        "(u, d DATE) as cast(date_trunc(u, d) as date)",
        "(u, d TIMESTAMP) as date_trunc(u, d)",
        "(u, d TIMESTAMPTZ) as date_trunc(u, d)",
    ),
    "sf_like": ("(d DATE, a) as cast(a as date)", "(d TIMESTAMP, a) as a", "(d TIMESTAMPTZ, a) as a"),
    "sf_add": ("(d DATE, i) as cast(d + i as date)", "(d TIMESTAMP, i) as d + i", "(d TIMESTAMPTZ, i) as d + i"),
}


def call(macro: str, *arguments: Expr | str | int) -> exp.Anonymous:
    """Return a call of a macro."""
    return exp.Anonymous(this=f"{SCHEMA}.{macro}", expressions=[exp.convert(each, copy=True) for each in arguments])


def creation_sql() -> str:
    """Return the statements that create the macros in the global database."""
    macros = {**json_macros(SCHEMA), **_MACROS}
    plain = [f"create or replace macro {SCHEMA}.{name} as {body};" for name, body in macros.items()]
    typed = [f"create or replace macro {SCHEMA}.{name} {', '.join(each)};" for name, each in _OVERLOADED.items()]
    return "\n".join(plain + typed)

"""Macros for VARIANT, OBJECT and ARRAY values, which are JSON in DuckDB."""

from string import Template

SORTED_LEVELS = 3
"""The number of nested levels whose keys are sorted. Snowflake sorts all levels."""

# Objects and arrays share one call of the next level. With two calls, the macro's text would double with each level.
_SORTED = Template("""case when json_type(a) in ('OBJECT', 'ARRAY')
    then case json_type(a) when 'OBJECT' then '{' else '[' end || coalesce(array_to_string(list_transform(
        case json_type(a) when 'OBJECT' then list_transform(list_sort(json_keys(a)), lambda k: struct_pack(
                p := to_json(k)::varchar || ':',
                v := json_extract(a, '/' || replace(replace(k, '~', '~0'), '/', '~1'))))
            else list_transform(json_extract(a, '$$[*]'), lambda e: struct_pack(p := '', v := e)) end,
        lambda i: i.p || $inner(i.v)), ','), '') || case json_type(a) when 'OBJECT' then '}' else ']' end
    else a::varchar end""")
_DEEPEST = f"""case when contains(a::varchar, '{{') then error('The emulator can only sort the keys of {SORTED_LEVELS} '
    || 'nested levels. Select a part of the VARIANT.') else json(a)::varchar end"""

# The kind of a value in a comparison: NULL, TEXT, NUMBER, BOOLEAN, NESTED, or an SQL type.
_VALUE_KIND = Template(r"""case typeof($x)
    when 'JSON' then case json_type(try_cast($x::varchar as json))
        when 'VARCHAR' then 'TEXT' when 'NULL' then null when 'BOOLEAN' then 'BOOLEAN'
        when 'OBJECT' then 'NESTED' when 'ARRAY' then 'NESTED' else 'NUMBER' end
    when 'VARCHAR' then 'TEXT' when 'STRING_LITERAL' then 'TEXT'
    else case when regexp_matches(typeof($x), '\[') then 'NESTED'
        when regexp_matches(typeof($x), 'INT|DECIMAL|DOUBLE') then 'NUMBER' else typeof($x) end end""")
_COMPARE = Template("""list_transform([struct_pack(k := $one, t := $first)], lambda l:
    list_transform([struct_pack(k := $other, t := $second)], lambda r: case
    when l.k is null or r.k is null or l.t is null or r.t is null then null
    when l.k <> r.k then error('The emulator cannot compare a VARIANT that contains ' || l.k || ' with ' || r.k
        || '. Cast it first, as in v:name::varchar.')
    when l.k = 'NESTED' then error('The emulator cannot compare OBJECTs or ARRAYs. Cast both to VARCHAR.')
    when l.k = 'NUMBER' then sign(l.t::double - r.t::double)::int
    when l.t < r.t then -1 when l.t > r.t then 1 else 0 end)[1])[1]""")

_ORDERED = Template("""list_transform([a], lambda x: case
    when typeof(x) = 'JSON' and json_type(try_cast(x::varchar as json)) in ('OBJECT', 'ARRAY')
    then $schema.sf_sorted(try_cast(x::varchar as json)) else $schema.sf_text(x) end)[1]""")
_FLOAT_ERROR = "The emulator cannot store a FLOAT in a VARIANT, OBJECT or ARRAY. Cast it to NUMBER(38, s) first."
_JSON_STRING = r'''"(\\.|[^"\\])*"'''
"""A regular expression for a JSON string."""
_UNDEFINED_ERROR = (
    "The emulator cannot store a NULL in an ARRAY, which is undefined on Snowflake. "
    "Use ARRAY_CONSTRUCT_COMPACT or COALESCE."
)
_VARIANT = Template("""list_transform([a], lambda x: case when x is null then null
    when typeof(x) = 'JSON' then try_cast(x::varchar as json)
    when typeof(x) = 'DOUBLE' then error('$float')
    when typeof(x) = 'TIMESTAMP' then to_json(strftime(try_cast(x::varchar as timestamp), '%Y-%m-%d %H:%M:%S.%g'))
    else to_json(x) end)[1]""")
_OBJECT = """list_transform([a], lambda x: case when x is null then null
    when typeof(x) = 'JSON' then case coalesce(json_type(try_cast(x::varchar as json)), 'NULL')
        when 'OBJECT' then try_cast(x::varchar as json) when 'NULL' then null
        else error('Failed to cast variant value ' || x::varchar || ' to OBJECT') end
    else case when regexp_matches(typeof(x), 'STRUCT|MAP') then to_json(x)
        else error('Only an OBJECT or a VARIANT can be cast to OBJECT, but this is ' || typeof(x)) end end)[1]"""
_ARRAY = r"""list_transform([a], lambda x: case when x is null then null
    when typeof(x) = 'JSON' then case coalesce(json_type(try_cast(x::varchar as json)), 'NULL')
        when 'ARRAY' then try_cast(x::varchar as json) when 'NULL' then null
        else to_json([try_cast(x::varchar as json)]) end
    else case when contains(typeof(x), '[') then to_json(x) else to_json([x]) end end)[1]"""

_FLATTEN = r"""
    select (hash(to_json(input)::json) // 2)::bigint as seq, e.k as key,
        case when e.k is null then '[' || e.i || ']' when regexp_full_match(e.k, '[A-Za-z_][A-Za-z_0-9]*') then e.k
            else '[''' || e.k || ''']' end as path,
        e.i as index, e.v as value, to_json(input)::json as this
    from (select unnest(case when keeps and len(items) = 0 then [null] else items end) as e from (
        select coalesce(case json_type(to_json(input)::json)
            when 'OBJECT' then case when mode in ('OBJECT', 'BOTH') then
                list_transform(list_sort(json_keys(to_json(input)::json)), lambda x: struct_pack(k := x,
                    i := null::bigint,
                    v := json_extract(to_json(input)::json, '/' || replace(replace(x, '~', '~0'), '/', '~1')))) end
            when 'ARRAY' then case when mode in ('ARRAY', 'BOTH') then
                list_transform(json_extract(to_json(input)::json, '$[*]'),
                    lambda x, n: struct_pack(k := null::varchar, i := n - 1, v := x)) end
            end, []) as items))"""


def json_macros(schema: str) -> dict[str, str]:
    """Return the macros: name with arguments -> body. `schema` is their schema."""
    sorted_keys = {f"sf_sorted{SORTED_LEVELS}(a)": _DEEPEST}
    for level in reversed(range(SORTED_LEVELS)):
        name = f"sf_sorted{level or ''}(a)"
        sorted_keys[name] = _SORTED.substitute(inner=f"{schema}.sf_sorted{level + 1}")
    compare = _COMPARE.substitute(
        one=_VALUE_KIND.substitute(x="a"),
        first=f"{schema}.sf_text(a)",
        other=_VALUE_KIND.substitute(x="b"),
        second=f"{schema}.sf_text(b)",
    )
    return {
        **sorted_keys,
        "sf_ordered(a)": _ORDERED.substitute(schema=schema),
        "sf_variant(a)": _VARIANT.substitute(float=_FLOAT_ERROR),
        "sf_exact(a)": f"case when typeof(a) = 'DOUBLE' then error('{_FLOAT_ERROR}') else a end",
        "sf_present(a)": f"case when a is null then error('{_UNDEFINED_ERROR}') else a end",
        "sf_without_floats(a)": f"case when regexp_matches(regexp_replace(a, '{_JSON_STRING}', '', 'g'), '[0-9][eE]') "
        f"then error('{_FLOAT_ERROR}') else a end",
        "sf_json(a)": f"{schema}.sf_sorted({schema}.sf_variant(a))",
        "sf_object(a)": _OBJECT,
        "sf_array(a)": _ARRAY,
        "sf_compare(a, b)": compare,
        "sf_part(l, f, t)": "l[greatest(case when f < 0 then len(l) + f else f end, 0) + 1 : "
        "greatest(case when t < 0 then len(l) + t else t end, 0)]",
        "sf_items(a)": f"json_extract({schema}.sf_array(a), '$[*]')::json[]",
        "sf_array_append(a, b)": "case when a is not null then "
        f"to_json(list_append({schema}.sf_items(a), {schema}.sf_variant(b))) end",
        "sf_same(i, v)": "i::varchar = v::varchar or try_cast(i::varchar as double) = try_cast(v::varchar as double)",
        "sf_found(l, v)": f"list_transform(l, lambda e: coalesce({schema}.sf_same(e, v), false))",
        "sf_array_contains(a, v)": "case when v is null "
        f"then nullif(list_contains({schema}.sf_items(a)::varchar[], 'null'), false) "
        f"else list_contains({schema}.sf_found({schema}.sf_items(a), {schema}.sf_variant(v)), true) end",
        "sf_array_position(a, v)": f"list_position({schema}.sf_found({schema}.sf_items(a), "
        f"{schema}.sf_variant(v)), true)::bigint - 1",
        "sf_arrays_overlap(a, b)": f"list_contains(list_transform({schema}.sf_items(a), "
        f"lambda i: list_contains({schema}.sf_found({schema}.sf_items(b), i), true)), true)",
        "sf_array_slice(a, f, t)": f"to_json({schema}.sf_part({schema}.sf_items(a), f, t))",
        "sf_array_to_string(a, s)": f"array_to_string(list_transform({schema}.sf_items(a), "
        f"lambda i: coalesce({schema}.sf_ordered(i), '')), s)",
        "sf_object_keys(a)": f"to_json(list_sort(json_keys({schema}.sf_object(a))))",
        "sf_flatten(input, keeps, mode)": f"table {_FLATTEN}",
    }

{#
    Selects a source's columns as the types that `columns` gives them by name, beside Airbyte's own columns. Airbyte may
    load a column as text: its source for S3 does so with every column of CSV, and has no type for times. A value that is
    not one of the type is null here, and the test `every_value_is_cast` on the source counts it.

    sources.yml declares the same types, for that test and for `make doctor`. dbt does not show it to unit tests.
#}
{% macro typed(relation, columns) -%}
    {%- set raw = raw_types(relation) -%}
    {%- for name, type in declared_types(relation).items() if columns.get(name) != type -%}
        {%- do exceptions.raise_compiler_error(
            'sources.yml declares ' ~ name ~ ' as ' ~ type ~ ', and ' ~ model.name ~ ' casts it to '
            ~ columns.get(name, 'nothing') ~ '. Give both the same type.'
        ) -%}
    {%- endfor -%}
    select
    {%- for name, type in dict(airbyte_columns(), **columns).items() %}
        {{ cast_value(name, type, raw.get(name)) }} as {{ name }}
        {{- ',' if not loop.last }}
    {%- endfor %}
    from {{ relation }}
{%- endmacro %}

{# The types that sources.yml declares for a source's columns, by name. #}
{% macro declared_types(relation) -%}
    {%- set types = {} -%}
    {%- for node in (graph.sources or {}).values()
        if execute and node.identifier | lower == relation.identifier | lower
        and node.schema | lower == relation.schema | lower -%}
        {%- for column in node.columns.values() -%}
            {%- do types.update({column.name: column.data_type}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(types) }}
{%- endmacro %}

{# Airbyte's own columns: the last two are its source for S3's, which writes the date as text. #}
{% macro airbyte_columns() -%}
    {{ return({
        '_airbyte_raw_id': 'varchar',
        '_airbyte_extracted_at': 'timestamptz',
        '_airbyte_meta': 'json',
        '_airbyte_generation_id': 'bigint',
        '_ab_source_file_url': 'varchar',
        '_ab_source_file_last_modified': 'timestamptz',
    }) }}
{%- endmacro %}

{# The types of a source's columns by name, where SQL must differ by them. DuckDB leaves out what a type does not need. #}
{% macro raw_types(relation) -%}
    {{ return(adapter.dispatch('raw_types')(relation)) }}
{%- endmacro %}

{% macro default__raw_types(relation) -%}
    {%- set types = {} -%}
    {%- if execute and not relation.is_cte -%}
        {%- for column in adapter.get_columns_in_relation(relation) -%}
            {%- do types.update({column.name | lower: column.data_type | upper}) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(types) }}
{%- endmacro %}

{% macro duckdb__raw_types(relation) -%}
    {{ return({}) }}
{%- endmacro %}

{# A column as one of the types bigint, double, timestamptz, varchar and json; null where its value is not one. #}
{% macro cast_value(column, type, raw_type=none) -%}
    {%- if type not in ['bigint', 'double', 'timestamptz', 'varchar', 'json'] -%}
        {%- do exceptions.raise_compiler_error(
            'The column ' ~ column ~ ' has the data_type ' ~ type ~ ' in sources.yml. '
            ~ 'Declare bigint, double, timestamptz, varchar or json, or add a cast to macros/typed.sql.'
        ) -%}
    {%- endif -%}
    {{- adapter.dispatch('cast_value')(column, type, raw_type) -}}
{%- endmacro %}

{# Whole numbers, also as 5.0, and numbers: no NaN, no 0x1F, no 1_000. #}
{% macro number_pattern(type) -%}
    {{- '[+-]?[0-9]+([.]0*)?' if type == 'bigint' else '[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?' -}}
{%- endmacro %}

{# `typeof` of a column is a constant, so of each case one branch is left; a column of the type itself is read as it is. #}
{% macro duckdb__cast_value(column, type, raw_type) -%}
    {%- set text = 'trim(cast(' ~ column ~ ' as varchar))' -%}
    {%- if type in ['bigint', 'double'] -%}
        {%- set exact = "'TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT'" ~ (", 'FLOAT', 'DOUBLE'" if type == 'double') -%}
        case
            when typeof({{ column }}) in ({{ exact }}) then try_cast({{ column }} as {{ type }})
            when regexp_full_match({{ text }}, '{{ number_pattern(type) }}') then try_cast({{ text }} as {{ type }})
        end
    {%- elif type == 'timestamptz' -%}
        case
            when typeof({{ column }}) <> 'VARCHAR' or {{ text }} like '____-__-__%'
                then try_cast({{ column }} as timestamptz)
        end
    {%- else -%}
        nullif(cast({{ column }} as varchar), '')
    {%- endif -%}
{%- endmacro %}

{#
    Snowflake's TRY_CAST takes text alone, and its casts round 5.5 to 6. Text without a time zone is UTC. Airbyte loads a
    nested value as OBJECT, ARRAY or VARIANT, by what its source declares.
#}
{% macro default__cast_value(column, type, raw_type) -%}
    {%- set text = 'trim(cast(' ~ column ~ ' as varchar))' -%}
    {%- if has_type(type, raw_type) -%}
        cast({{ column }} as {{ 'variant' if type == 'json' else type }})
    {%- elif type == 'json' -%}
        {%- set is_text = (raw_type or '').startswith(('CHARACTER', 'VARCHAR', 'TEXT', 'STRING')) -%}
        {{ 'try_parse_json(' ~ column ~ ')' if is_text else 'cast(' ~ column ~ ' as variant)' }}
    {%- elif type == 'varchar' -%}
        nullif(cast({{ column }} as varchar), '')
    {%- elif type == 'timestamptz' -%}
        {%- set zoned = '.*[0-9]{2}:[0-9]{2}.*(Z|[+-][0-9]{2}(:?[0-9]{2})?)' -%}
        {%- set utc = 'to_varchar(try_cast(' ~ text ~ " as timestamp_ntz), 'YYYY-MM-DD HH24:MI:SS.FF6') || ' +0000'" -%}
        case
            when {{ text }} not like '____-__-__%' then null
            when {{ text }} rlike '{{ zoned }}' then try_cast({{ text }} as timestamp_tz)
            else try_cast({{ utc }} as timestamp_tz)
        end
    {%- else -%}
        case when {{ text }} rlike '{{ number_pattern(type) }}'
            then try_cast({{ text }} as {{ 'number(38, 0)' if type == 'bigint' else 'float' }})
        end
    {%- endif -%}
{%- endmacro %}

{# Whether a column of Snowflake's type `raw_type` has no value that is not one of `type`. #}
{% macro has_type(type, raw_type) -%}
    {%- set whole = 'NUMBER(38,0)', 'NUMBER(38, 0)', 'NUMBER' -%}
    {%- set same = {
        'bigint': whole,
        'double': whole + ('FLOAT', 'DOUBLE'),
        'timestamptz': ('TIMESTAMP_TZ', 'TIMESTAMP_LTZ', 'TIMESTAMP_TZ(9)', 'TIMESTAMP_LTZ(9)'),
    } -%}
    {{ return((raw_type or '') in same.get(type, ())) }}
{%- endmacro %}

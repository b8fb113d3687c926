{#
    Selects a source's columns as the types that `columns` gives them by name, beside Airbyte's own columns. Airbyte may
    load a column as text: its source for S3 does so with every column of CSV, and has no type for times. A value that is
    not one of the type is null here, and the test `every_value_is_cast` on the source counts it.

    sources.yml declares the same types, for that test and for `make doctor`. dbt does not show it to unit tests.
#}
{% macro typed(relation, columns) -%}
    {%- set raw = raw_types(relation) -%}
    {%- set notes = declared_notes(relation) -%}
    {%- for name, type in declared_types(relation).items() if columns.get(name) != type -%}
        {%- do exceptions.raise_compiler_error(
            'sources.yml declares ' ~ name ~ ' as ' ~ type ~ ', and ' ~ model.name ~ ' casts it to '
            ~ columns.get(name, 'nothing') ~ '. Give both the same type.'
        ) -%}
    {%- endfor -%}
    select
    {%- for name, type in dict(airbyte_columns(), **columns).items() %}
        {{ cast_declared(name, type, raw, notes.get(name)) }} as {{ name }}
        {{- ',' if not loop.last }}
    {%- endfor %}
    from {{ relation }}
{%- endmacro %}

{# A column of raw as the type that sources.yml declares, by what its `meta` says; `raw` has raw's types by name. #}
{% macro cast_declared(name, type, raw, notes=none) -%}
    {%- set notes = notes or {} -%}
    {{- cast_value(raw_value(name, notes), type, raw.get(notes.get('column', name) | lower), notes.get('format')) -}}
{%- endmacro %}

{#
    SQL for a column of raw. `meta` in sources.yml may say `column`, its name in raw where that is not one that SQL takes
    without quotes, and `null_values`, the texts that stand for null, as in Airbyte's format of CSV.
#}
{% macro raw_value(name, notes=none) -%}
    {%- set notes = notes or {} -%}
    {%- set column = raw_name(notes.column) if notes.column else name -%}
    {%- if notes.null_values -%}
        {%- set texts = [] -%}
        {%- for text in notes.null_values -%}
            {%- do texts.append(text_literal(text)) -%}
        {%- endfor -%}
        (case when trim(cast({{ column }} as varchar)) not in ({{ texts | join(', ') }}) then {{ column }} end)
    {%- else -%}
        {{- column -}}
    {%- endif -%}
{%- endmacro %}

{# Whether a value of raw is there and staging has null in its place. #}
{% macro is_not_cast(name, type, raw, notes) -%}
    ({{ raw_value(name, notes) }} is not null and cast({{ raw_value(name, notes) }} as varchar) <> ''
    and {{ cast_declared(name, type, raw, notes) }} is null)
{%- endmacro %}

{# A text as SQL writes it. #}
{% macro text_literal(text) -%}
    '{{ text | replace("'", "''") | replace('\\', '\\\\' if target.type == 'snowflake' else '\\') }}'
{%- endmacro %}

{# A name of raw in quotes. Airbyte's names are upper case on Snowflake; DuckDB reads quoted names in any case. #}
{% macro raw_name(column) -%}
    {%- set name = column | upper if target.type == 'snowflake' else column -%}
    "{{ name | replace('"', '""') }}"
{%- endmacro %}

{# What `meta` says of a source's columns in sources.yml, by name. #}
{% macro declared_notes(relation) -%}
    {%- set notes = {} -%}
    {%- for node in (graph.sources or {}).values()
        if execute and node.identifier | lower == relation.identifier | lower
        and node.schema | lower == relation.schema | lower -%}
        {%- for column in node.columns.values() if column.meta -%}
            {%- do notes.update({column.name: column.meta}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(notes) }}
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

{#
    A column as one of the types bigint, double, decimal(18,2), boolean, date, timestamp (without a zone), timestamptz,
    varchar, text and json; null where its value is not one. Empty text is null in varchar, and stays in text. With a
    `format`, such as DD/MM/YYYY HH24:MI or 1.234,56, a date, timestamp or number is written so.
#}
{% macro cast_value(column, type, raw_type=none, format=none) -%}
    {%- set types = 'bigint|double|decimal[(][0-9]+,[0-9]+[)]|boolean|date|timestamp|timestamptz|varchar|text|json' -%}
    {%- if not modules.re.fullmatch(types, type | string) -%}
        {%- do exceptions.raise_compiler_error(
            'The column ' ~ column ~ ' has the data_type ' ~ type ~ ' in sources.yml. Declare bigint, double, '
            ~ 'decimal(18,2), boolean, date, timestamp, timestamptz, varchar, text or json, or add a cast to macros/typed.sql.'
        ) -%}
    {%- endif -%}
    {{- adapter.dispatch('cast_value')(column, type, raw_type, format) -}}
{%- endmacro %}

{# Whole numbers, also as 5.0, and numbers: no NaN, no 0x1F, no 1_000, no digit that the type would round. #}
{% macro number_pattern(type, format=none) -%}
    {%- set marks = number_marks(format) -%}
    {%- if marks -%}
        {%- set scale = type.split(',')[1][:-1] if type.startswith('decimal') else '0' -%}
        {%- set fraction = '[0-9]*' if type == 'double' else '[0-9]{0,' ~ scale ~ '}0*' -%}
        {%- set grouped = '[0-9]{1,3}([' ~ marks[0] | replace("'", "''") ~ '][0-9]{3})+|' if marks[0] else '' -%}
        {{- '[+-]?(' ~ grouped ~ '[0-9]+)([' ~ marks[1] ~ ']' ~ fraction ~ ')?' -}}
    {%- elif type.startswith('decimal') -%}
        {%- set scale = type.split(',')[1][:-1] -%}
        {{- '[+-]?([0-9]+([.][0-9]{0,' ~ scale ~ '}0*)?|[.][0-9]{1,' ~ scale ~ '}0*)' -}}
    {%- else -%}
        {{- '[+-]?[0-9]+([.]0*)?' if type == 'bigint' else '[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?' -}}
    {%- endif -%}
{%- endmacro %}

{#
    The marks of a number's format, such as 1.234,56, as it has them between its thousands and before its fraction; none
    where the format is a date's or is not there.
#}
{% macro number_marks(format) -%}
    {%- set found = modules.re.fullmatch("1(.?)234(.)56", format or '') -%}
    {{ return(found.groups() if found else none) }}
{%- endmacro %}

{# SQL for the text of a number, as SQL itself writes numbers. #}
{% macro number_text(text, format) -%}
    {%- set marks = number_marks(format) -%}
    {%- if not marks -%}
        {{- text -}}
    {%- else -%}
        {%- set whole = 'replace(' ~ text ~ ', ' ~ text_literal(marks[0]) ~ ", '')" if marks[0] else text -%}
        replace({{ whole }}, {{ text_literal(marks[1]) }}, '.')
    {%- endif -%}
{%- endmacro %}

{# How the text of a date or of a time without a zone looks, by its format. #}
{% macro time_pattern(type, format) -%}
    {%- if format -%}
        {%- set tokens = {'.': '[.]', 'YYYY': '[0-9]{4}', 'MON': '[A-Za-z]{3}', 'MM': '[0-9]{1,2}', 'DD': '[0-9]{1,2}',
            'HH24': '[0-9]{1,2}', 'HH12': '[0-9]{1,2}', 'MI': '[0-9]{2}', 'SS': '[0-9]{2}', 'AM': '[AaPp][Mm]'} -%}
        {{- in_tokens(format, tokens) -}}
    {%- else -%}
        {%- set time = '([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6}0*)?)?)?' -%}
        {{- '[0-9]{4}-[0-9]{2}-[0-9]{2}' ~ (time if type == 'timestamp') -}}
    {%- endif -%}
{%- endmacro %}

{% macro in_tokens(format, tokens) -%}
    {%- for part in modules.re.split('(YYYY|MON|MM|DD|HH24|HH12|MI|SS|AM|[.])', format) -%}
        {{- tokens.get(part, part) -}}
    {%- endfor -%}
{%- endmacro %}

{% macro truth_value(text) -%}
    case
        when lower({{ text }}) in ('true', 't', 'yes', 'y') then true
        when lower({{ text }}) in ('false', 'f', 'no', 'n') then false
    end
{%- endmacro %}

{# `typeof` of a column is a constant, so of each case one branch is left; a column of the type itself is read as it is. #}
{% macro duckdb__cast_value(column, type, raw_type, format) -%}
    {%- set text = 'trim(cast(' ~ column ~ ' as varchar))' -%}
    {%- if type in ['bigint', 'double'] or type.startswith('decimal') -%}
        {%- set exact = "'TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT'" ~ (", 'FLOAT', 'DOUBLE'" if type == 'double') -%}
        case
            when typeof({{ column }}) in ({{ exact }}) then try_cast({{ column }} as {{ type }})
            when regexp_full_match({{ text }}, '{{ number_pattern(type, format) }}')
                then try_cast({{ number_text(text, format) }} as {{ type }})
        end
    {%- elif type == 'boolean' -%}
        {{ truth_value(text) }}
    {%- elif type in ['date', 'timestamp'] -%}
        {%- set tokens = {'YYYY': '%Y', 'MON': '%b', 'MM': '%m', 'DD': '%d', 'HH24': '%H', 'HH12': '%I', 'MI': '%M',
            'SS': '%S', 'AM': '%p'} -%}
        case
            when typeof({{ column }}) <> 'VARCHAR' then try_cast({{ column }} as {{ type }})
            when regexp_full_match({{ text }}, '{{ time_pattern(type, format) }}') then
                {%- if format %} cast(try_strptime({{ text }}, '{{ in_tokens(format, tokens) }}') as {{ type }})
                {%- else %} try_cast({{ text }} as {{ type }}) {%- endif %}
        end
    {%- elif type == 'timestamptz' -%}
        case
            when typeof({{ column }}) <> 'VARCHAR' or {{ text }} like '____-__-__%'
                then try_cast({{ column }} as timestamptz)
        end
    {%- elif type == 'text' -%}
        cast({{ column }} as varchar)
    {%- elif type == 'json' and not column.startswith('_airbyte_') -%}
        try_cast({{ column }} as json)
    {%- else -%}
        nullif(cast({{ column }} as varchar), '')
    {%- endif -%}
{%- endmacro %}

{#
    Snowflake's TRY_CAST takes text alone, and its casts round 5.5 to 6. Text without a time zone is UTC. Airbyte loads a
    nested value as OBJECT, ARRAY or VARIANT, by what its source declares.
#}
{% macro default__cast_value(column, type, raw_type, format) -%}
    {%- set text = 'trim(cast(' ~ column ~ ' as varchar))' -%}
    {%- if has_type(type, raw_type) -%}
        cast({{ column }} as {{ {'json': 'variant', 'timestamp': 'timestamp_ntz'}.get(type, type) }})
    {%- elif type == 'json' -%}
        {%- set is_text = (raw_type or '').startswith(('CHARACTER', 'VARCHAR', 'TEXT', 'STRING')) -%}
        {{ 'try_parse_json(' ~ column ~ ')' if is_text else 'cast(' ~ column ~ ' as variant)' }}
    {%- elif type == 'varchar' -%}
        nullif(cast({{ column }} as varchar), '')
    {%- elif type == 'text' -%}
        cast({{ column }} as varchar)
    {%- elif type == 'boolean' -%}
        {{ truth_value(text) }}
    {%- elif type in ['date', 'timestamp'] -%}
        case when {{ text }} rlike '{{ time_pattern(type, format) }}' then
            {%- if format %} {{ 'try_to_date' if type == 'date' else 'try_to_timestamp_ntz' }}({{ text }}, '{{ format }}')
            {%- else %} try_cast({{ text }} as {{ 'date' if type == 'date' else 'timestamp_ntz' }}) {%- endif %}
        end
    {%- elif type == 'timestamptz' -%}
        {%- set zoned = '.*[0-9]{2}:[0-9]{2}.*(Z|[+-][0-9]{2}(:?[0-9]{2})?)' -%}
        {%- set utc = 'to_varchar(try_cast(' ~ text ~ " as timestamp_ntz), 'YYYY-MM-DD HH24:MI:SS.FF6') || ' +0000'" -%}
        case
            when {{ text }} not like '____-__-__%' then null
            when {{ text }} rlike '{{ zoned }}' then try_cast({{ text }} as timestamp_tz)
            else try_cast({{ utc }} as timestamp_tz)
        end
    {%- else -%}
        {%- set number = {'bigint': 'number(38, 0)', 'double': 'float'}.get(type, type) -%}
        case
            when {{ text }} rlike '{{ number_pattern(type, format) }}'
                then try_cast({{ number_text(text, format) }} as {{ number }})
        end
    {%- endif -%}
{%- endmacro %}

{# Whether a column of Snowflake's type `raw_type` has no value that is not one of `type`. #}
{% macro has_type(type, raw_type) -%}
    {%- set whole = 'NUMBER(38,0)', 'NUMBER(38, 0)', 'NUMBER' -%}
    {%- set same = {
        'bigint': whole,
        'double': whole + ('FLOAT', 'DOUBLE'),
        'boolean': ('BOOLEAN',),
        'date': ('DATE',),
        'timestamp': ('TIMESTAMP_NTZ', 'TIMESTAMP_NTZ(9)'),
        'timestamptz': ('TIMESTAMP_TZ', 'TIMESTAMP_LTZ', 'TIMESTAMP_TZ(9)', 'TIMESTAMP_LTZ(9)'),
    } -%}
    {{ return((raw_type or '') in same.get(type, ())) }}
{%- endmacro %}

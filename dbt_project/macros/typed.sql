{#
    Selects a source's columns cast to the types in `columns`, and Airbyte's own columns. Airbyte may load a column as text:
    its source for S3 loads every column of a CSV file as text, and has no type for times. A value that cannot be cast is
    null here, and the test `every_value_is_cast` on the source counts it.

    sources.yml declares the same types, for that test and for `make doctor`. Unit tests cannot see sources.yml.
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

{# A column of raw cast to its type in sources.yml, following its `meta` (`notes`). `raw` has raw's types by name. #}
{% macro cast_declared(name, type, raw, notes=none) -%}
    {%- set notes = notes or {} -%}
    {{- cast_value(raw_value(name, notes), type, raw.get(notes.get('column', name) | lower), notes.get('format')) -}}
{%- endmacro %}

{#
    SQL for a column of raw. Its `meta` in sources.yml may have `column`, its name in raw if SQL must quote it, and
    `null_values`, the texts that mean null, as in Airbyte's settings for CSV.
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

{# Whether raw has a value but staging has null instead. #}
{% macro is_not_cast(name, type, raw, notes) -%}
    ({{ raw_value(name, notes) }} is not null and cast({{ raw_value(name, notes) }} as varchar) <> ''
    and {{ cast_declared(name, type, raw, notes) }} is null)
{%- endmacro %}

{# A text as a SQL literal. #}
{% macro text_literal(text) -%}
    '{{ text | replace("'", "''") | replace('\\', '\\\\' if target.type == 'snowflake' else '\\') }}'
{%- endmacro %}

{# A quoted name in raw. Airbyte's names are upper case on Snowflake; DuckDB ignores the case of quoted names. #}
{% macro raw_name(column) -%}
    {%- set name = column | upper if target.type == 'snowflake' else column -%}
    "{{ name | replace('"', '""') }}"
{%- endmacro %}

{# The `meta` of a source's columns in sources.yml, by name. #}
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

{# Airbyte's own columns. The last two come from its source for S3, which writes the time as text. #}
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

{# The types of a source's columns by name, if the SQL depends on them. On DuckDB it does not: see `duckdb__cast_value`. #}
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
    A column cast to bigint, double, decimal(18,2), boolean, date, timestamp (without a zone), timestamptz, varchar, text or
    json; null if its value cannot be cast. Empty text becomes null in varchar, but stays empty in text. `format` is the
    format of a date, timestamp or number in text, such as DD/MM/YYYY HH24:MI or 1.234,56.
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

{# A pattern for numbers; whole numbers may be written as 5.0. It rejects NaN, 0x1F, 1_000, and digits that would be rounded. #}
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
    The thousands separator and the decimal mark of a number format such as 1.234,56; none for a date format or no format.
#}
{% macro number_marks(format) -%}
    {%- set found = modules.re.fullmatch("1(.?)234(.)56", format or '') -%}
    {{ return(found.groups() if found else none) }}
{%- endmacro %}

{# SQL that rewrites the text of a number in SQL's own notation. #}
{% macro number_text(text, format) -%}
    {%- set marks = number_marks(format) -%}
    {%- if not marks -%}
        {{- text -}}
    {%- else -%}
        {%- set whole = 'replace(' ~ text ~ ', ' ~ text_literal(marks[0]) ~ ", '')" if marks[0] else text -%}
        replace({{ whole }}, {{ text_literal(marks[1]) }}, '.')
    {%- endif -%}
{%- endmacro %}

{# A pattern for the text of a date or of a timestamp without a zone, by its format. #}
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

{# `typeof` of a column is constant, so DuckDB keeps one branch of each case. A column that has the type already is not cast. #}
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
    Snowflake's TRY_CAST only accepts text, and its casts round 5.5 to 6. Text without a time zone is UTC. Airbyte loads a
    nested value as OBJECT, ARRAY or VARIANT, depending on its source.
#}
{% macro snowflake__cast_value(column, type, raw_type, format) -%}
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

{# Whether every value of Snowflake's type `raw_type` fits `type`. #}
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

{#
    For an incremental model: a condition on `column`, a part of its key, that every row meets whose newest version may
    be another one than the table's. A file has changed if `relation`, the source, has later rows of it than the table;
    the rows to look at lie between the least and the greatest value of `column` in such files, in each of their loads.
    Staging's window and the warehouse then read these rows alone, so a day's file costs a day.

    Rows may be read in vain: those between, and those of a file whose last rows another file has replaced. A column that
    grows with time, as a date or a number does, keeps them few. Rows that were deleted from the source by hand need
    `--full-refresh`, as does the former version of a key that is back for that reason.
#}
{% macro of_changed_files(relation, column) -%}
    {%- set type = declared_types(relation).get(column) -%}
    {%- set range = changed_range(relation, column, type) if execute and type in ['timestamptz', 'bigint'] else none -%}
    {%- if range is none -%}
        true
    {%- elif range[0] is none -%}
        {{ column }} is null
    {%- else -%}
        ({{ column }} between cast('{{ range[0] }}' as {{ type }}) and cast('{{ range[1] }}' as {{ type }}) or {{ column }} is null)
    {%- endif -%}
{%- endmacro %}

{# The bounds as text; None for both where no file has changed. For times they are days, with room for every time zone. #}
{% macro changed_range(relation, column, type) -%}
    {%- set raw = raw_types(relation) -%}
    {%- set own = airbyte_columns() -%}
    {%- set value = cast_value(column, type, raw.get(column)) -%}
    {%- set file = cast_value('_ab_source_file_url', own['_ab_source_file_url'], raw.get('_ab_source_file_url')) -%}
    {%- set extracted =
        cast_value('_airbyte_extracted_at', own['_airbyte_extracted_at'], raw.get('_airbyte_extracted_at')) -%}
    {%- set query -%}
        select
            {% if type == 'timestamptz' -%}
            cast(cast(min({{ value }}) as date) - 2 as varchar) || ' 00:00:00+00:00',
            cast(cast(max({{ value }}) as date) + 3 as varchar) || ' 00:00:00+00:00'
            {%- else -%}
            cast(min({{ value }}) as varchar),
            cast(max({{ value }}) as varchar)
            {%- endif %}
        from {{ relation }}
        where {{ file }} in (
            select loaded.file
            from (select {{ file }} as file, max({{ extracted }}) as newest from {{ relation }} group by 1) as loaded
            left join (
                select _ab_source_file_url as file, max(_airbyte_extracted_at) as newest from {{ this }} group by 1
            ) as held
                on loaded.file = held.file
            where held.file is null or held.newest < loaded.newest
        )
    {%- endset -%}
    {{ return(run_query(query).rows[0].values()) }}
{%- endmacro %}

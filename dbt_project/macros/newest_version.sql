{#
    Raw is append-only, so a key has a row for each time that it was loaded. This keeps the row that was extracted last. Rows
    extracted at the same instant are ordered by their file's time and name, and rows of one file by Airbyte's id. The mock's
    ids increase with the file's rows, so the last row of a file wins. Airbyte's own ids are random, but it extracts the rows
    of a file one after another.

    With `changes`, for a source that sends changes (Airbyte's CDC), it keeps the row that was changed last, and no row for a
    key whose last change is a deletion. The staging model selects `_ab_cdc_updated_at` and `_ab_cdc_deleted_at` as
    timestamptz.
#}
{% macro newest_version(key, changes=false) -%}
    qualify row_number() over (
        partition by {{ key | join(', ') }}
        order by
            {%- if changes %}
            _ab_cdc_updated_at desc nulls last,
            {%- endif %}
            _airbyte_extracted_at desc,
            _ab_source_file_last_modified desc,
            _ab_source_file_url desc,
            _airbyte_raw_id desc
    ) = 1
    {%- if changes %}
    and _ab_cdc_deleted_at is null
    {%- endif %}
{%- endmacro %}

{#
    Removes the rows of earlier loads of each file from the CTE `source`, which selects from `relation`. This drops rows that
    were deleted in the file, and the old key of a row whose key has changed. A refresh or full refresh loads a file again
    with a higher generation. The SQL ends in a WHERE. Use it for files that are replaced as a whole, such as those of the
    sample. Leave it out if a file is overwritten with the next rows of a series.

    It uses the loads recorded at the start of the run, so that no query compares all of raw. Rows that a later load has
    replaced are removed once the next run has recorded that load. It joins the replaced loads, because they are few.
#}
{% macro of_newest_files(relation) -%}
    left join (
        select file, last_modified, generation
        from ({{ loads_of(relation) }}) as loads
        qualify last_modified < max(last_modified) over (partition by file)
            or generation < max(generation) over (partition by file)
    ) as replaced
        on source._ab_source_file_url = replaced.file
        and source._ab_source_file_last_modified = replaced.last_modified
        and coalesce(source._airbyte_generation_id, 0) = replaced.generation
    where replaced.file is null
{%- endmacro %}

{# A query with one row per load of a file of a source: the times at which Airbyte read its first and last rows, the number
   of rows, and the bounds of a column. Bounds of times are days, with room for every time zone. `part` is SQL for the part
   that a row belongs to; with it, there is one row per load and part. `rows` is what to read instead of the whole source. #}
{% macro file_loads(relation, column=none, rows=none, part=none) -%}
    {%- set raw = raw_types(relation) -%}
    {%- set columns = airbyte_columns() -%}
    {%- set type = declared_types(relation).get(column) -%}
    {%- set values = {} -%}
    {%- for name, type in columns.items() -%}
        {%- do values.update({name: cast_value(name, type, raw.get(name))}) -%}
    {%- endfor -%}
    {%- set value = cast_declared(column, type, raw, declared_notes(relation).get(column)) if type else 'null' -%}
    select
        {% if part is not none -%} {{ part }} as part, {% endif -%}
        {{ values['_ab_source_file_url'] }} as file,
        {{ values['_ab_source_file_last_modified'] }} as last_modified,
        coalesce({{ values['_airbyte_generation_id'] }}, 0) as generation,
        min({{ values['_airbyte_extracted_at'] }}) as first_extracted,
        max({{ values['_airbyte_extracted_at'] }}) as last_extracted,
        count(*) as row_count,
        {{ bounds_of(value, type) }}
    from {{ rows or relation }}
    group by 1, 2, 3 {%- if part is not none %}, 4 {%- endif %}
{%- endmacro %}

{# The smallest and the largest value of a column, as `_dbt_loads` stores them. #}
{% macro bounds_of(value, type) -%}
    {%- if type == 'timestamptz' -%}
        cast(cast(min({{ value }}) as date) - 2 as varchar) || ' 00:00:00+00:00' as least,
        cast(cast(max({{ value }}) as date) + 3 as varchar) || ' 00:00:00+00:00' as greatest
    {%- else -%}
        cast(min({{ value }}) as varchar) as least,
        cast(max({{ value }}) as varchar) as greatest
    {%- endif -%}
{%- endmacro %}

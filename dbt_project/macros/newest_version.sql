{#
    Raw is append-only, so a key has a row for each time that it was loaded. Keeps the one extracted last; rows of one
    instant are ordered by their file's time and name, and rows of one file by Airbyte's id. The mock's ids grow with
    the file's rows, so the last row of a file wins. Airbyte's own ids are random, but it extracts the rows of a file one
    after another.

    Of a source that sends `changes` (Airbyte's CDC), the one changed last, and none of a key whose last change is a
    deletion. The staging model selects `_ab_cdc_updated_at` and `_ab_cdc_deleted_at` as timestamptz.
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
    Leaves out of the CTE `source`, which selects from `relation`, the rows of former loads of each file: a row that was
    deleted, and the former key of one whose key has changed. A refresh or a full refresh loads a file anew in a higher
    generation. It ends in a WHERE. For files that are whole, as those of the sample: leave it out where a file is
    overwritten with the next rows of a series.

    It goes by the loads that the run has noted when it began, so that no query compares all of raw. The rows that a later
    load has replaced go when the next run has noted it. Few loads were replaced, so that a join to these costs less than
    one to the loads that count.
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

{# A query for a source's loads of files, a row each: the times at which Airbyte read the first and last of its rows, their
   number, and the bounds of a column. The bounds of times are days, with room for every time zone. With `part`, SQL that
   tells the parts of the source apart, a row each load and part. `rows` are those of the source that it reads, if not all. #}
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

{# The least and the greatest of a column's values, as the notes have them. #}
{% macro bounds_of(value, type) -%}
    {%- if type == 'timestamptz' -%}
        cast(cast(min({{ value }}) as date) - 2 as varchar) || ' 00:00:00+00:00' as least,
        cast(cast(max({{ value }}) as date) + 3 as varchar) || ' 00:00:00+00:00' as greatest
    {%- else -%}
        cast(min({{ value }}) as varchar) as least,
        cast(max({{ value }}) as varchar) as greatest
    {%- endif -%}
{%- endmacro %}

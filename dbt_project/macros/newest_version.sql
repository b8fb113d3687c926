{#
    Raw is append-only, so a key has a row for each time that it was loaded. Keeps the one extracted last; rows of one
    instant are ordered by their file's time and name, and rows of one file by Airbyte's id. The mock's ids grow with
    the file's rows, so the last row of a file wins. Airbyte's own ids are random, but it extracts the rows of a file one
    after another.
#}
{% macro newest_version(key) -%}
    qualify row_number() over (
        partition by {{ key | join(', ') }}
        order by
            _airbyte_extracted_at desc,
            _ab_source_file_last_modified desc,
            _ab_source_file_url desc,
            _airbyte_raw_id desc
    ) = 1
{%- endmacro %}

{#
    Joins each row of the CTE `source`, which selects from `relation`, to the newest load of its file, so that rows of
    former versions of the file are left out: a row that was deleted, and the former key of one whose key has changed. A
    refresh or a full refresh loads a file anew in a higher generation. For files that are whole, as those of the sample:
    leave it out where a file is overwritten with the next rows of a series.

    It asks `relation` itself for the loads: DuckDB would keep a CTE that is read twice in memory, with every column.
#}
{% macro of_newest_files(relation) -%}
    {%- set raw = raw_types(relation) -%}
    {%- set columns = airbyte_columns() -%}
    inner join (
        select file, max(last_modified) as last_modified, max(generation) as generation
        from (
            select
                {%- for name, load in [
                    ('_ab_source_file_url', 'file'),
                    ('_ab_source_file_last_modified', 'last_modified'),
                    ('_airbyte_generation_id', 'generation'),
                ] %}
                {{ cast_value(name, columns[name], raw.get(name)) }} as {{ load }}
                {{- ',' if not loop.last }}
                {%- endfor %}
            from {{ relation }}
        ) as loads
        group by file
    ) as newest_files
        on source._ab_source_file_url = newest_files.file
        and source._ab_source_file_last_modified = newest_files.last_modified
        and coalesce(source._airbyte_generation_id, 0) = coalesce(newest_files.generation, 0)
{%- endmacro %}

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

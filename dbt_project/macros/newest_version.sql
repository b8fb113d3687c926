{#
    Raw is append-only, so a key has a row for each time that it was loaded. Keeps the one extracted last; rows of one
    instant are told apart by their file's time and name, and, within a file, by Airbyte's own id: any one, but the same
    one every time.
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

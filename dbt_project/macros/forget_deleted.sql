{#
    Deletes a model's rows whose file was loaded again without them: the file is in the source, and the row is not in
    staging. Rows of files that the source no longer has at all stay. For the post-hook of an incremental model with
    `_airbyte_raw_id` and `_ab_source_file_url`.
#}
{% macro forget_deleted(staging, source) -%}
    {%- if is_incremental() -%}
        delete from {{ this }}
        where _airbyte_raw_id not in (select _airbyte_raw_id from {{ staging }})
            and _ab_source_file_url in (select _ab_source_file_url from {{ source }})
    {%- endif -%}
{%- endmacro %}

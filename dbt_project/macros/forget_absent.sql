{#
    Deletes a model's rows that are not in staging. Use it for a source that sends deletions, or whose rows Airbyte itself
    deletes, for example when it deduplicates. It is a post-hook for an incremental model with `_airbyte_raw_id`.
#}
{% macro forget_absent(staging) -%}
    {%- if is_incremental() -%}
        delete from {{ this }}
        where _airbyte_raw_id not in (select _airbyte_raw_id from {{ staging }})
    {%- endif -%}
{%- endmacro %}

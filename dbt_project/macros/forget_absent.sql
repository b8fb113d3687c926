{#
    Deletes a model's rows that staging does not have, whatever raw says: for a source that sends deletions, or of which
    Airbyte itself deletes rows, as it does where it deduplicates. For the post-hook of an incremental model with
    `_airbyte_raw_id`.
#}
{% macro forget_absent(staging) -%}
    {%- if is_incremental() -%}
        delete from {{ this }}
        where _airbyte_raw_id not in (select _airbyte_raw_id from {{ staging }})
    {%- endif -%}
{%- endmacro %}

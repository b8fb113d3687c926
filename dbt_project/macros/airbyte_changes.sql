{# The number of values in a row that Airbyte nulled or truncated: the length of `changes` in `_airbyte_meta`. #}
{% macro airbyte_changes(meta) %}
    {{- adapter.dispatch('airbyte_changes')(meta) -}}
{% endmacro %}

{% macro snowflake__airbyte_changes(meta) -%}
    coalesce(array_size({{ meta }}:changes), 0)
{%- endmacro %}

{% macro duckdb__airbyte_changes(meta) -%}
    coalesce(json_array_length({{ meta }}, '$.changes'), 0)
{%- endmacro %}

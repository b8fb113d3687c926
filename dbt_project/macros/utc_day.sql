{# The date of a time in UTC. #}
{% macro utc_day(time) -%}
    {{- adapter.dispatch('utc_day')(time) -}}
{% endmacro %}

{% macro snowflake__utc_day(time) -%}
    cast(convert_timezone('UTC', {{ time }}) as date)
{%- endmacro %}

{% macro duckdb__utc_day(time) -%}
    cast({{ time }} at time zone 'UTC' as date)
{%- endmacro %}

{# The date from three integer columns; null if there is no such day. #}
{% macro calendar_date(year, month, day) %}
    {{- adapter.dispatch('calendar_date')(year, month, day) -}}
{% endmacro %}

{# Snowflake turns February 30 into March 2. #}
{% macro snowflake__calendar_date(year, month, day) -%}
    {%- set date = 'date_from_parts(' ~ year ~ ', ' ~ month ~ ', ' ~ day ~ ')' -%}
    case when month({{ date }}) = {{ month }} and dayofmonth({{ date }}) = {{ day }} then {{ date }} end
{%- endmacro %}

{% macro duckdb__calendar_date(year, month, day) -%}
    try(make_date({{ year }}, {{ month }}, {{ day }}))
{%- endmacro %}

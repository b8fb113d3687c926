{# The date of three integer columns. #}
{% macro calendar_date(year, month, day) %}
    {{- adapter.dispatch('calendar_date')(year, month, day) -}}
{% endmacro %}

{% macro default__calendar_date(year, month, day) -%}
    date_from_parts({{ year }}, {{ month }}, {{ day }})
{%- endmacro %}

{% macro duckdb__calendar_date(year, month, day) -%}
    make_date({{ year }}, {{ month }}, {{ day }})
{%- endmacro %}

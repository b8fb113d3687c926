{# Sums over a group of rows of fct_flights. Groups can be combined before `flight_measures` turns them into measures. #}
{% macro flight_sums() -%}
    count(*) as flights,
    {%- for status in ['cancelled', 'diverted', 'on_time', 'late'] %}
    count(case when status = '{{ status }}' then 1 end) as {{ status }},
    {%- endfor %}
    {%- for delay in ['dep_delay_minutes', 'arr_delay_minutes'] %}
    sum({{ delay }}) as {{ delay }},
    count({{ delay }}) as with_{{ delay }}
    {{- ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{# The measures of a group of flights, defined once for all aggregates. They divide doubles, because Snowflake's quotient of
   whole numbers has only six decimal places. #}
{% macro flight_measures() -%}
    {%- for count in ['flights', 'cancelled', 'diverted', 'on_time', 'late'] %}
    cast(sum({{ count }}) as bigint) as {{ count }},
    {%- endfor %}
    cast(sum(on_time) as double) / sum(flights) as on_time_rate,
    {%- for delay in ['dep_delay_minutes', 'arr_delay_minutes'] %}
    cast(sum({{ delay }}) as double) / nullif(sum(with_{{ delay }}), 0) as avg_{{ delay }}
    {{- ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

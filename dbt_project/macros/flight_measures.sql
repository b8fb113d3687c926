{# The measures of a group of rows of fct_flights, defined once for every aggregate. #}
{% macro flight_measures() -%}
    count(*) as flights,
    {%- for status in ['cancelled', 'diverted', 'on_time', 'late'] %}
    count(case when status = '{{ status }}' then 1 end) as {{ status }},
    {%- endfor %}
    cast(count(case when status = 'on_time' then 1 end) as double) / count(*) as on_time_rate,
    cast(avg(dep_delay_minutes) as double) as avg_dep_delay_minutes,
    cast(avg(arr_delay_minutes) as double) as avg_arr_delay_minutes
{%- endmacro %}

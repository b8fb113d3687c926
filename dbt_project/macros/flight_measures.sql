{# The measures of a group of rows of fct_flights, defined once for every aggregate. Snowflake rounds the average of whole
   numbers to six digits, so it is of doubles. #}
{% macro flight_measures() -%}
    count(*) as flights,
    {%- for status in ['cancelled', 'diverted', 'on_time', 'late'] %}
    count(case when status = '{{ status }}' then 1 end) as {{ status }},
    {%- endfor %}
    cast(count(case when status = 'on_time' then 1 end) as double) / count(*) as on_time_rate,
    avg(cast(dep_delay_minutes as double)) as avg_dep_delay_minutes,
    avg(cast(arr_delay_minutes as double)) as avg_arr_delay_minutes
{%- endmacro %}

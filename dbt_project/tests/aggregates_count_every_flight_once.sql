-- Each aggregate counts every flight once, and each of its flights has exactly one status.
{% set aggregates = ['agg_daily_performance', 'agg_route_delays', 'agg_weather_delays'] %}

with totals as (
    {% for aggregate in aggregates %}
    select
        '{{ aggregate }}' as aggregate_name,
        coalesce(sum(flights), 0) as flights,
        coalesce(sum(cancelled + diverted + on_time + late), 0) as flights_with_a_status
    from {{ ref(aggregate) }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

facts as (
    select count(*) as flights from {{ ref('fct_flights') }}
)

select totals.*, facts.flights as flights_in_fct_flights
from totals
cross join facts
where totals.flights <> facts.flights or totals.flights_with_a_status <> facts.flights

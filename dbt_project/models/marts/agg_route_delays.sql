select
    flights.origin,
    flights.dest,
    airports.name as dest_name,
    max(flights.distance_miles) as distance_miles,
    {{ flight_measures() }},
    percentile_cont(0.9) within group (
        order by cast(flights.arr_delay_minutes as double)  -- Snowflake gives a NUMBER's percentile three decimal places
    ) as p90_arr_delay_minutes
from {{ ref('fct_flights') }} as flights
left join {{ ref('dim_airports') }} as airports
    on flights.dest = airports.faa
group by flights.origin, flights.dest, airports.name

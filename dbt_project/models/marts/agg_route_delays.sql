select
    flights.origin,
    flights.dest,
    airports.name as dest_name,
    max(flights.distance_miles) as distance_miles,
    {{ flight_measures() }},
    cast(percentile_cont(0.9) within group (order by flights.arr_delay_minutes) as double) as p90_arr_delay_minutes
from {{ ref('fct_flights') }} as flights
left join {{ ref('dim_airports') }} as airports
    on flights.dest = airports.faa
group by flights.origin, flights.dest, airports.name

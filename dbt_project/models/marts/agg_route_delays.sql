with delays as (
    select origin, dest, delay, sum(with_arr_delay_minutes) as flights
    from {{ ref('int_flights_by_route') }}
    where delay is not null
    group by origin, dest, delay
),

-- The same as percentile_cont(0.9) over single flights: interpolate between the two values around the 90th percentile.
ranked as (
    select
        delays.*,
        sum(flights) over (partition by origin, dest order by delay rows unbounded preceding) as up_to,
        0.9e0 * (sum(flights) over (partition by origin, dest) - 1) as place
    from delays
),

between_two as (
    select
        origin,
        dest,
        min(case when up_to > floor(place) then delay end) as below,
        min(case when up_to > ceil(place) then delay end) as above,
        max(place - floor(place)) as share
    from ranked
    group by origin, dest
),

percentiles as (
    select origin, dest, below * (1 - share) + above * share as p90 from between_two
)

select
    flights.origin,
    flights.dest,
    airports.name as dest_name,
    max(flights.distance_miles) as distance_miles,
    {{ flight_measures() }},
    max(percentiles.p90) as p90_arr_delay_minutes
from {{ ref('int_flights_by_route') }} as flights
left join percentiles
    on flights.origin = percentiles.origin and flights.dest = percentiles.dest
left join {{ ref('dim_airports') }} as airports
    on flights.dest = airports.faa
group by flights.origin, flights.dest, airports.name

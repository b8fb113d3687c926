with sums as (
    select
        flight_date,
        carrier,
        {{ flight_measures() }}
    from {{ ref('int_flights_by_day') }}
    group by flight_date, carrier
)

select
    sums.flight_date,
    sums.carrier,
    airlines.name as carrier_name,
    sums.flights,
    sums.cancelled,
    sums.diverted,
    sums.on_time,
    sums.late,
    sums.on_time_rate,
    sums.avg_dep_delay_minutes,
    sums.avg_arr_delay_minutes
from sums
left join {{ ref('dim_airlines') }} as airlines
    on sums.carrier = airlines.carrier

select
    sums.flight_date,
    sums.carrier,
    airlines.name as carrier_name,
    {{ flight_measures() }}
from {{ ref('int_flights_by_day') }} as sums
left join {{ ref('dim_airlines') }} as airlines
    on sums.carrier = airlines.carrier
group by sums.flight_date, sums.carrier, airlines.name

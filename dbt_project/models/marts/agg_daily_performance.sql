select
    flights.flight_date,
    flights.carrier,
    airlines.name as carrier_name,
    {{ flight_measures() }}
from {{ ref('int_flights_by_day') }} as flights
left join {{ ref('dim_airlines') }} as airlines
    on flights.carrier = airlines.carrier
group by flights.flight_date, flights.carrier, airlines.name

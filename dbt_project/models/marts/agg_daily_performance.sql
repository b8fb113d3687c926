with sums as (
    select
        flight_date,
        carrier,
        {{ flight_sums() }}
    from {{ ref('fct_flights') }}
    group by flight_date, carrier
)

select
    sums.flight_date,
    sums.carrier,
    airlines.name as carrier_name,
    {{ flight_measures() }}
from sums
left join {{ ref('dim_airlines') }} as airlines
    on sums.carrier = airlines.carrier
group by sums.flight_date, sums.carrier, airlines.name

select
    origin,
    weather,
    {{ flight_measures() }}
from {{ ref('int_flights_by_weather') }}
group by origin, weather

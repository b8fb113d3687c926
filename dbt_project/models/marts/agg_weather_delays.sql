with flights as (
    select
        flights.*,
        case
            when weather.origin is null then 'unknown'
            when weather.precipitation_inches > 0 and weather.temperature_f <= 32 then 'snow or ice'
            when weather.precipitation_inches > 0 then 'rain'
            when weather.visibility_miles < 3 then 'low visibility'
            when weather.wind_speed_mph >= 25 then 'strong wind'
            else 'fair'
        end as weather
    from {{ ref('fct_flights') }} as flights
    left join {{ ref('stg_weather') }} as weather
        on flights.origin = weather.origin and flights.time_hour = weather.time_hour
)

select
    origin,
    weather,
    {{ flight_measures() }}
from flights
group by origin, weather

{{ config(
    pre_hook="{{ forget_periods([ref('fct_flights'), ref('int_weather')], 'month') }}",
    post_hook="{{ note_built() }}",
) }}

{% set changed = [ref('fct_flights'), ref('int_weather')] %}

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
    left join {{ ref('int_weather') }} as weather
        on flights.origin = weather.origin
        and flights.time_hour = weather.time_hour
        and {{ of_changed_periods(changed, 'weather.time_hour', 'month') }}
    where {{ of_changed_periods(changed, 'flights.time_hour', 'month') }}
)

select
    {{ period('month', 'time_hour') }} as month,
    origin,
    weather,
    {{ flight_sums() }}
from flights
group by 1, 2, 3

{{ config(
    pre_hook="{{ forget_periods([ref('fct_flights')], 'year') }}",
    post_hook="{{ note_built() }}",
) }}

-- Group by delay, too, because the 90th percentile over all years cannot be computed from those of single years.
select
    {{ period('year', 'time_hour') }} as year,
    origin,
    dest,
    arr_delay_minutes as delay,
    max(distance_miles) as distance_miles,
    {{ flight_sums() }}
from {{ ref('fct_flights') }}
where {{ of_changed_periods([ref('fct_flights')], 'time_hour', 'year') }}
group by 1, 2, 3, 4

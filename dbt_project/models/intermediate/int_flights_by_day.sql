{{ config(
    pre_hook="{{ forget_periods([ref('fct_flights')], 'month') }}",
    post_hook="{{ note_built() }}",
) }}

-- Group by month, too, because a local date may span two months in UTC.
select
    {{ period('month', 'time_hour') }} as month,
    flight_date,
    carrier,
    {{ flight_sums() }}
from {{ ref('fct_flights') }}
where {{ of_changed_periods([ref('fct_flights')], 'time_hour', 'month') }}
group by 1, 2, 3

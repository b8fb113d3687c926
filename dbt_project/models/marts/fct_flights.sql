{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key=['time_hour', 'carrier', 'flight_number'],
    on_schema_change='fail',
    pre_hook="{{ note_changes(source('raw', 'flights')) }}",
    post_hook=["{{ forget_deleted(source('raw', 'flights')) }}", "{{ note_built() }}"],
) }}

select
    flight_date,
    time_hour,
    carrier,
    flight_number,
    tailnum,
    origin,
    dest,
    sched_dep_time,
    dep_time,
    dep_delay_minutes,
    sched_arr_time,
    arr_time,
    arr_delay_minutes,
    air_time_minutes,
    distance_miles,
    case
        when dep_time is null then 'cancelled'
        when arr_delay_minutes is null then 'diverted'
        when arr_delay_minutes < 15 then 'on_time'
        else 'late'
    end as status,
    _airbyte_raw_id,
    _airbyte_extracted_at,
    _ab_source_file_url
from {{ ref('stg_flights') }} as flights
{% if is_incremental() %}
{% set changed = of_changed_files(source('raw', 'flights')) %}
-- Compare ids instead of a high-water mark of _airbyte_extracted_at. Concurrent syncs can commit in another order than they
-- extracted, and a high-water mark would skip the rows that are committed later.
where {{ changed }}
    and flights._airbyte_raw_id not in (select _airbyte_raw_id from {{ this }} where {{ changed }})
{% endif %}

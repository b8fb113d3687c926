{{ config(
    incremental_strategy='merge',
    unique_key=['origin', 'time_hour'],
    pre_hook="{{ note_changes(source('raw', 'weather')) }}",
    post_hook=["{{ forget_deleted(source('raw', 'weather')) }}", "{{ note_built() }}"],
) }}

select
    origin,
    time_hour,
    temperature_f,
    precipitation_inches,
    visibility_miles,
    wind_speed_mph,
    _airbyte_raw_id,
    _airbyte_extracted_at,
    _ab_source_file_url
from {{ ref('stg_weather') }} as weather
{% if is_incremental() %}
{% set changed = of_changed_files(source('raw', 'weather')) %}
where {{ changed }}
    and weather._airbyte_raw_id not in (select _airbyte_raw_id from {{ this }} where {{ changed }})
{% endif %}

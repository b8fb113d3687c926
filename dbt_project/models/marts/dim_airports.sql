select
    faa,
    name,
    latitude,
    longitude,
    altitude_feet,
    utc_offset_hours,
    daylight_saving,
    time_zone,
    _airbyte_extracted_at,
    _ab_source_file_url
from {{ ref('stg_airports') }}

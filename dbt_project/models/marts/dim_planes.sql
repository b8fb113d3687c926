select
    tailnum,
    manufactured_year,
    type,
    manufacturer,
    model,
    engines,
    seats,
    cruising_speed_mph,
    engine,
    _airbyte_extracted_at,
    _ab_source_file_url
from {{ ref('stg_planes') }}

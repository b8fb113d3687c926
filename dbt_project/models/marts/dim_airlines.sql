select
    carrier,
    name,
    _airbyte_extracted_at,
    _ab_source_file_url
from {{ ref('stg_airlines') }}

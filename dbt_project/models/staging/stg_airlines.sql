with source as (
    select * from {{ source('raw', 'airlines') }}
    {{ newest_version(['carrier']) }}
),

renamed as (
    select
        carrier,
        name,
        _airbyte_raw_id,
        _airbyte_extracted_at,
        _airbyte_meta,
        _ab_source_file_url
    from source
)

select * from renamed

with source as (
    {{ typed(source('raw', 'airlines'), {
        'carrier': 'varchar',
        'name': 'varchar',
    }) }}
),

newest as (
    select source.* from source
    {{ of_newest_files(source('raw', 'airlines')) }}
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
    from newest
)

select * from renamed

with source as (
    {{ typed(source('raw', 'planes'), {
        'tailnum': 'varchar',
        'year': 'bigint',
        'type': 'varchar',
        'manufacturer': 'varchar',
        'model': 'varchar',
        'engines': 'bigint',
        'seats': 'bigint',
        'speed': 'bigint',
        'engine': 'varchar',
    }) }}
),

newest as (
    select source.* from source
    {{ of_newest_files(source('raw', 'planes')) }}
    {{ newest_version(['tailnum']) }}
),

renamed as (
    select
        tailnum,
        year as manufactured_year,
        type,
        manufacturer,
        model,
        engines,
        seats,
        speed as cruising_speed_mph,
        engine,
        _airbyte_raw_id,
        _airbyte_extracted_at,
        _airbyte_meta,
        _ab_source_file_url
    from newest
)

select * from renamed

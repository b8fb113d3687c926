with source as (
    {{ typed(source('raw', 'airports'), {
        'faa': 'varchar',
        'name': 'varchar',
        'lat': 'double',
        'lon': 'double',
        'alt': 'bigint',
        'tz': 'bigint',
        'dst': 'varchar',
        'tzone': 'varchar',
    }) }}
),

newest as (
    select source.* from source
    {{ of_newest_files(source('raw', 'airports')) }}
    {{ newest_version(['faa']) }}
),

renamed as (
    select
        faa,
        name,
        lat as latitude,
        lon as longitude,
        alt as altitude_feet,
        tz as utc_offset_hours,
        dst as daylight_saving,
        tzone as time_zone,
        _airbyte_raw_id,
        _airbyte_extracted_at,
        _airbyte_meta,
        _ab_source_file_url
    from newest
)

select * from renamed

with source as (
    {{ typed(source('raw', 'weather'), {
        'origin': 'varchar',
        'time_hour': 'timestamptz',
        'temp': 'double',
        'dewp': 'double',
        'humid': 'double',
        'wind_dir': 'double',
        'wind_speed': 'double',
        'wind_gust': 'double',
        'precip': 'double',
        'pressure': 'double',
        'visib': 'double',
    }) }}
),

newest as (
    select source.* from source
    {{ of_newest_files(source('raw', 'weather')) }}
    {{ newest_version(['origin', 'time_hour']) }}
),

renamed as (
    select
        origin,
        time_hour,
        temp as temperature_f,
        dewp as dew_point_f,
        humid as humidity_percent,
        wind_dir as wind_direction_degrees,
        wind_speed as wind_speed_mph,
        wind_gust as wind_gust_mph,
        precip as precipitation_inches,
        pressure as pressure_millibars,
        visib as visibility_miles,
        _airbyte_raw_id,
        _airbyte_extracted_at,
        _airbyte_meta,
        _ab_source_file_url
    from newest
)

select * from renamed

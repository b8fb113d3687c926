with source as (
    {{ typed(source('raw', 'flights'), {
        'time_hour': 'timestamptz',
        'carrier': 'varchar',
        'flight': 'bigint',
        'year': 'bigint',
        'month': 'bigint',
        'day': 'bigint',
        'tailnum': 'varchar',
        'origin': 'varchar',
        'dest': 'varchar',
        'dep_time': 'bigint',
        'sched_dep_time': 'bigint',
        'dep_delay': 'bigint',
        'arr_time': 'bigint',
        'sched_arr_time': 'bigint',
        'arr_delay': 'bigint',
        'air_time': 'bigint',
        'distance': 'bigint',
    }) }}
),

newest as (
    select source.* from source
    {{ of_newest_files(source('raw', 'flights')) }}
    {{ newest_version(['time_hour', 'carrier', 'flight']) }}
),

renamed as (
    select
        {{ calendar_date('year', 'month', 'day') }} as flight_date,
        time_hour,
        carrier,
        flight as flight_number,
        tailnum,
        origin,
        dest,
        sched_dep_time,
        dep_time,
        dep_delay as dep_delay_minutes,
        sched_arr_time,
        arr_time,
        arr_delay as arr_delay_minutes,
        air_time as air_time_minutes,
        distance as distance_miles,
        _airbyte_raw_id,
        _airbyte_extracted_at,
        _airbyte_meta,
        _ab_source_file_url
    from newest
)

select * from renamed

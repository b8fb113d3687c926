-- Find what an incremental model could miss: flights that are missing in the table, or older there than in raw. It reads raw
-- instead of staging, because staging would rank all rows of raw.
{% set raw = raw_types(source('raw', 'flights')) %}
{% set changed = rows_to_test(source('raw', 'flights')) %}
{% set columns = dict(airbyte_columns(), time_hour='timestamptz', carrier='varchar', flight='bigint') %}

with source as (
    select
        {%- for name, type in columns.items() if name != '_airbyte_meta' %}
        {{ cast_value(name, type, raw.get(name)) }} as {{ name }}
        {{- ',' if not loop.last }}
        {%- endfor %}
    from {{ parts_to_test(source('raw', 'flights'), changed) }}
    {%- if changed %} where {{ changed }} {% endif %}
),

versions as (
    select source.* from source
    {{ of_newest_files(source('raw', 'flights')) }}
)

select versions.time_hour, versions.carrier, versions.flight, versions._ab_source_file_url
from versions
left join {{ ref('fct_flights') }} as held
    on versions.time_hour = held.time_hour
    and versions.carrier = held.carrier
    and versions.flight = held.flight_number
where held._airbyte_raw_id is null or held._airbyte_extracted_at < versions._airbyte_extracted_at

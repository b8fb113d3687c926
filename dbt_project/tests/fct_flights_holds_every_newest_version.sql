-- What an incremental model could lose: a flight's newest version that never reached the table.
select flights.time_hour, flights.carrier, flights.flight_number, flights._ab_source_file_url
from {{ ref('stg_flights') }} as flights
left join {{ ref('fct_flights') }} as held
    on flights._airbyte_raw_id = held._airbyte_raw_id
where held._airbyte_raw_id is null

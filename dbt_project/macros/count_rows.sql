{#
    Logs where the rows of a source are: in staging, or why they are not. The platform has each staging model do so once
    it is built, puts the figures on the run's page, and compares them. Nothing is counted where nothing was loaded in
    the hour before.
#}
{% macro count_rows(stream, source, columns, staging) -%}
    {%- set keys = columns | join(', ') -%}
    {%- set since = (run_started_at - modules.datetime.timedelta(hours=1)).isoformat() -%}
    {%- set new = run_query(
        'select count(*) from ' ~ source ~ " where _airbyte_extracted_at >= cast('" ~ since ~ "' as timestamptz)"
    ) -%}
    {%- if new.rows[0][0] | int -%}
        {%- set query -%}
            select
                coalesce(sum(in_raw), 0),
                coalesce(sum(twice_in_a_file), 0),
                count(*),
                (select count(*) from {{ staging }})
            from (
                select {{ keys }}, sum(in_file) as in_raw, sum(in_file - 1) as twice_in_a_file
                from (
                    select {{ keys }}, count(*) as in_file
                    from {{ source }}
                    group by
                        {{ keys }}, _ab_source_file_url, _ab_source_file_last_modified, _airbyte_generation_id
                ) as files
                group by {{ keys }}
            ) as keys
        {%- endset -%}
        {%- set row = run_query(query).rows[0] -%}
        {%- set counts = {'stream': stream, 'staging': staging.identifier, 'in_raw': row[0] | int,
            'twice_in_a_file': row[1] | int, 'different_keys': row[2] | int, 'in_staging': row[3] | int} -%}
        {%- do log('rows: ' ~ tojson(counts)) -%}
    {%- endif -%}
{%- endmacro %}

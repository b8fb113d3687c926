{#
    Values of a source that are not of the type that sources.yml declares, by column and file: staging has null in their
    place. Warns with their number, and names the columns in the log. Mending the file ends the warning: only the newest
    load of each file counts, of its version and generation, as in staging.
#}
{% test every_value_is_cast(model) %}

{{ config(severity='warn', fail_calc='coalesce(sum(values_not_cast), 0)') }}

{%- set raw = raw_types(model) -%}
{%- set columns = {} -%}
{%- for name, type in declared_types(model).items() if type != 'varchar' and not has_type(type, raw.get(name)) -%}
    {%- do columns.update({name: type}) -%}
{%- endfor -%}

{%- set query -%}
    with source as (
        {%- for name, type in columns.items() %}
        select
            '{{ name }}' as column_name,
            {%- for own in ['_ab_source_file_url', '_ab_source_file_last_modified', '_airbyte_generation_id'] %}
            {{ cast_value(own, airbyte_columns()[own], raw.get(own)) }} as {{ own }}
            {{- ',' if not loop.last }}
            {%- endfor %}
        from {{ model }}
        where {{ name }} is not null
            and cast({{ name }} as varchar) <> ''
            and {{ cast_value(name, type, raw.get(name)) }} is null
        {%- if not loop.last %}
        union all
        {%- endif -%}
        {%- endfor %}
    )

    select
        column_name,
        _ab_source_file_url,
        count(*) as values_not_cast
    from source
    {{ of_newest_files(model) }}
    group by column_name, _ab_source_file_url
{%- endset -%}

{%- if not columns -%}
    select 0 as values_not_cast where false
{%- elif execute and flags.WHICH in ['build', 'test', 'retry'] -%}
    {#- One query names the values and counts them; the test's own only hands the number on. -#}
    {%- set found = run_query(query).rows -%}
    {%- for row in found[:20] -%}
        {%- do exceptions.warn(
            model.identifier ~ ': ' ~ row[2] ~ ' values of ' ~ row[0] ~ ' in ' ~ row[1] ~ ' are not '
            ~ columns[row[0]] ~ '. Staging has null there.'
        ) -%}
    {%- endfor -%}
    select {{ found | sum(attribute=2) | int }} as values_not_cast where {{ found | length }} > 0
{%- else -%}
    {{ query }}
{%- endif -%}

{% endtest %}

{#
    Finds values of a source that do not have the type in sources.yml, by column and file. Staging has null instead. The test
    warns with their number, and logs the columns. Fixing the file ends the warning, because the test only reads the newest
    load of each file (its newest version and generation), like staging.

    A log line `drift: ` gives the platform one such value of each column, for the run's page.
#}
{% test every_value_is_cast(model) %}

{{ config(severity='warn', fail_calc='coalesce(sum(values_not_cast), 0)') }}

{%- set raw = raw_types(model) -%}
{%- set changed = rows_to_test(model) -%}
{%- set columns = {} -%}
{%- set notes = declared_notes(model) -%}
{%- for name, type in declared_types(model).items()
    if type not in ['varchar', 'text'] and not has_type(type, raw.get(notes.get(name, {}).get('column', name) | lower)) -%}
    {%- do columns.update({name: type}) -%}
{%- endfor -%}

{%- set sums = [] -%}
{%- for name in columns -%}
    {%- do sums.append('sum(not_cast_' ~ loop.index ~ ')') -%}
{%- endfor -%}

{%- set query -%}
    with source as (
        select
            {%- for own in ['_ab_source_file_url', '_ab_source_file_last_modified', '_airbyte_generation_id'] %}
            {{ cast_value(own, airbyte_columns()[own], raw.get(own)) }} as {{ own }},
            {%- endfor %}
            {%- for name, type in columns.items() %}
            count(case when {{ is_not_cast(name, type, raw, notes.get(name)) }} then 1 end) as not_cast_{{ loop.index }}
            {{- ',' if not loop.last }}
            {%- endfor %}
        from {{ parts_to_test(model, changed) }}
        {%- if changed %} where {{ changed }} {% endif %}
        group by 1, 2, 3
    ),

    newest as (
        select source.* from source
        {{ of_newest_files(model) }}
    )

    select
        _ab_source_file_url,
        {{ sums | join(' + ') }} as values_not_cast,
        {{ sums | join(', ') }}
    from newest
    group by 1
    having {{ sums | join(' + ') }} > 0
{%- endset -%}

{%- if not columns -%}
    select 0 as values_not_cast where false
{%- elif execute and flags.WHICH in ['build', 'test', 'retry'] -%}
    {#- One query finds and counts the values. The test's own query only returns the number. -#}
    {%- set found = run_query(query).rows -%}
    {%- set shown = [] -%}
    {%- for row in found[:20] -%}
        {%- for name, type in columns.items() -%}
            {%- set count = row[loop.index + 1] | int -%}
            {%- if count -%}
                {%- do exceptions.warn(
                    model.identifier ~ ': ' ~ count ~ ' values of ' ~ name ~ ' in ' ~ row[0] ~ ' are not ' ~ type
                    ~ '. Staging has null there.'
                ) -%}
                {%- if name not in shown and row[0] -%}
                    {%- do shown.append(name) -%}
                    {%- set value = 'cast(' ~ raw_value(name, notes.get(name)) ~ ' as varchar)' -%}
                    {%- set examples = run_query(
                        'select max(' ~ value ~ ') from ' ~ parts_to_test(model, changed) ~ ' where _ab_source_file_url = '
                        ~ text_literal(row[0]) ~ ' and ' ~ is_not_cast(name, type, raw, notes.get(name))
                    ).rows -%}
                    {%- do log('drift: ' ~ tojson({
                        'table': model.identifier, 'column': name, 'type': type, 'file': row[0], 'values': count,
                        'example': examples[0][0]
                    })) -%}
                {%- endif -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    select {{ found | sum(attribute=1) | int }} as values_not_cast where {{ found | length }} > 0
{%- else -%}
    {{ query }}
{%- endif -%}

{% endtest %}

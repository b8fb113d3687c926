{#
    Finds keys that more than one row of a file has. Staging keeps only the last such row, so no test of staging can see the
    others. The test counts the rows that staging drops for this reason. It only warns, because a file may contain
    corrections of its own rows. If the key must be unique in the file, set `severity: error` in the test's config.

    It reads the newest version of each file, so fixing the file ends the warning. The generation distinguishes the loads of
    a stream that Airbyte reads completely each time.
#}
{% test unique_in_each_file(model, columns) %}

{{ config(severity='warn', fail_calc='coalesce(sum(rows_with_this_key - 1), 0)') }}

{%- set changed = rows_to_test(model) %}
{%- set notes = declared_notes(model) %}
{%- set names = [] %}
{%- for column in columns %}
    {%- do names.append(raw_value(column, notes.get(column))) %}
{%- endfor %}

with repeated as (
    select
        _ab_source_file_url,
        _ab_source_file_last_modified,
        {{ names | join(', ') }},
        count(*) as rows_with_this_key
    from {{ parts_to_test(model, changed) }}
    {%- if changed %} where {{ changed }} {% endif %}
    group by
        _ab_source_file_url,
        _ab_source_file_last_modified,
        _airbyte_generation_id,
        {{ names | join(', ') }}
    having count(*) > 1
),

newest as (
    select _ab_source_file_url, max(_ab_source_file_last_modified) as last_modified
    from {{ parts_to_test(model, changed) }}
    {%- if changed %} where {{ changed }} {% endif %}
    group by _ab_source_file_url
)

select repeated.*
from repeated
inner join newest
    on repeated._ab_source_file_url = newest._ab_source_file_url
    and repeated._ab_source_file_last_modified = newest.last_modified

{% endtest %}

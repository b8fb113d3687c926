{#
    Finds values of a source that Airbyte could not load, by file. Airbyte nulls or truncates them and says so in
    `_airbyte_meta`. The test only warns with their number, because the rows exist and their other columns are right. Fixing
    the file ends the warning, because the test only reads the newest load of each file (its newest version and generation),
    like staging.
#}
{% test no_airbyte_changes(model) %}

{{ config(severity='warn', fail_calc='coalesce(sum(changed_values), 0)') }}

{%- set raw = raw_types(model) %}
{%- set changed = rows_to_test(model) %}

with source as (
    select
        {%- for own in ['_airbyte_meta', '_ab_source_file_url', '_ab_source_file_last_modified', '_airbyte_generation_id'] %}
        {{ cast_value(own, airbyte_columns()[own], raw.get(own)) }} as {{ own }}
        {{- ',' if not loop.last }}
        {%- endfor %}
    from {{ parts_to_test(model, changed) }}
    -- Airbyte kept every value of most rows, so the join with the loads gets few rows.
    where {{ airbyte_changes(cast_value('_airbyte_meta', 'json', raw.get('_airbyte_meta'))) }} > 0
        {%- if changed %} and {{ changed }} {% endif %}
)

select
    _ab_source_file_url,
    sum({{ airbyte_changes('_airbyte_meta') }}) as changed_values
from source
{{ of_newest_files(model) }}
group by _ab_source_file_url

{% endtest %}

{#
    Values that Airbyte could not keep (it nulls or cuts them and notes so in `_airbyte_meta`), by file. For a source. Warns
    with their number: the rows are there and the other columns right. Mending the file ends the warning: only the newest
    load of each file counts, of its version and generation, as in staging.
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
    -- Of most rows Airbyte kept every value; so the loads are looked up for few.
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

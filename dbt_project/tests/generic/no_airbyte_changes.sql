{#
    Files with values that Airbyte could not keep (it nulls them and notes so in `_airbyte_meta`). Warns with the number
    of values: the rows are there and the other columns right, and mending the file ends the warning.
#}
{% test no_airbyte_changes(model) %}

{{ config(severity='warn', fail_calc='coalesce(sum(changed_values), 0)') }}

select
    _ab_source_file_url,
    sum({{ airbyte_changes('_airbyte_meta') }}) as changed_values
from {{ model }}
group by _ab_source_file_url
having sum({{ airbyte_changes('_airbyte_meta') }}) > 0

{% endtest %}

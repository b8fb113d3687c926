{# Finds rows with a null in a column that had no nulls when the test was written. #}
{% test never_null(model, columns) %}

{%- set changed = rows_to_test(model) %}

select {{ columns | join(', ') }}{{ and_file() }}
from {{ model }}
where ({{ columns | join(' is null or ') }} is null)
    {%- if changed %} and {{ changed }} {% endif %}

{% endtest %}

{# Rows in which a column is null that had a value in every row when the test was written. #}
{% test never_null(model, columns) %}

{%- set changed = rows_to_test(model) %}

select {{ columns | join(', ') }}{{ and_file() }}
from {{ model }}
where ({{ columns | join(' is null or ') }} is null)
    {%- if changed %} and {{ changed }} {% endif %}

{% endtest %}

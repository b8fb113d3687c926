{# Finds rows with a null in any column of the key, like `not_null` on each column but in one query. #}
{% test whole_key(model, columns) %}

select {{ columns | join(', ') }}{{ and_file() }}
from {{ model }}
where ({% for column in columns %} {{ column }} is null {%- if not loop.last %} or {%- endif %}{% endfor %})
{%- set changed = rows_to_test(model) %}
{% if changed %} and {{ changed }} {% endif %}

{% endtest %}

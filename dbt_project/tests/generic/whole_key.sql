{# Rows whose key is null in part: as `not_null` on each column, and reads the rows once. #}
{% test whole_key(model, columns) %}

select {{ columns | join(', ') }}{{ and_file() }}
from {{ model }}
where ({% for column in columns %} {{ column }} is null {%- if not loop.last %} or {%- endif %}{% endfor %})
{%- set changed = rows_to_test(model) %}
{% if changed %} and {{ changed }} {% endif %}

{% endtest %}

{# Finds keys with a null in any column, and keys that more than one row has. #}
{% test primary_key(model, columns) %}

select {{ columns | join(', ') }}, count(*) as rows_with_this_key{{ and_file(grouped=true) }}
from {{ model }}
{%- set changed = rows_to_test(model, columns) %}
{% if changed %} where {{ changed }} {% endif %}
group by {{ columns | join(', ') }}
having count(*) > 1
    {% for column in columns %} or {{ column }} is null {% endfor %}

{% endtest %}

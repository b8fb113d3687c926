{#
    Adds `, _ab_source_file_url` to the columns of a test if its model declares that column, so that each failing row shows
    its file. A test that groups rows gets the first and the last file of each group.
#}
{% macro and_file(grouped=false) -%}
    {%- set tested = graph.nodes[model.attached_node] if execute and model.attached_node in graph.nodes else {} -%}
    {%- if '_ab_source_file_url' not in tested.get('columns', {}) -%}
        {{ return('') }}
    {%- elif grouped -%}
        {{ return(', min(_ab_source_file_url) as _ab_source_file_url, max(_ab_source_file_url) as last_file') }}
    {%- endif -%}
    {{ return(', _ab_source_file_url') }}
{%- endmacro %}

{# dbt's own tests, with the files of the failing rows. #}
{% macro default__test_not_null(model, column_name) %}

select {{ '*' if should_store_failures() else column_name ~ and_file() }}
from {{ model }}
where {{ column_name }} is null

{% endmacro %}

{% macro default__test_unique(model, column_name) %}

select {{ column_name }} as unique_field, count(*) as n_records{{ and_file(grouped=true) }}
from {{ model }}
where {{ column_name }} is not null
group by {{ column_name }}
having count(*) > 1

{% endmacro %}

{% macro default__test_accepted_values(model, column_name, values, quote=True) %}
{%- set mark = "'" if quote else '' %}

select {{ column_name }} as value_field, count(*) as n_records{{ and_file(grouped=true) }}
from {{ model }}
where {{ column_name }} not in ({{ mark }}{{ values | join(mark ~ ', ' ~ mark) }}{{ mark }})
group by {{ column_name }}

{% endmacro %}

{% macro default__test_relationships(model, column_name, to, field) %}

select {{ column_name }} as from_field{{ and_file() }}
from {{ model }}
where {{ column_name }} is not null
    and {{ column_name }} not in (select {{ field }} from {{ to }} where {{ field }} is not null)

{% endmacro %}

{#
    Removes an object's rows from the snapshots, because builds do not recreate snapshots. If such a row had replaced an
    earlier version, that version becomes the current one again.
#}
{% macro forget_file(key) %}
    {%- set state = namespace(has_changed=false) -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'snapshot' -%}
        {%- set relation = adapter.get_relation(node.database, node.schema, node.alias) -%}
        {%- set columns = adapter.get_columns_in_relation(relation) | map(attribute='name') | map('lower') | list
            if relation else [] -%}
        {%- if '_ab_source_file_url' in columns -%}
            {%- set unique_key = [node.config.unique_key] if node.config.unique_key is string else node.config.unique_key -%}
            {%- set held = of_object(key, '_ab_source_file_url') -%}
            {%- set reopened -%}
                update {{ relation }} set dbt_valid_to = null
                where not {{ held }} and exists (
                    select 1 from (select * from {{ relation }} where {{ held }} and dbt_valid_to is null) as removed
                    where removed.dbt_valid_from = {{ relation }}.dbt_valid_to
                    {%- for column in unique_key %} and removed.{{ column }} = {{ relation }}.{{ column }} {%- endfor %}
                )
            {%- endset -%}
            {%- do run_query(reopened) -%}
            {%- do run_query('delete from ' ~ relation ~ ' where ' ~ held) -%}
            {%- set state.has_changed = true -%}
        {%- endif -%}
    {%- endfor -%}
    {#- dbt rolls back an operation's open transaction. Without a snapshot there is none. -#}
    {%- if state.has_changed %}{% do run_query('commit') %}{% endif -%}
{% endmacro %}

{# A condition that a row's file is the object, or is inside it if the object is a zip archive. #}
{% macro of_object(key, column) -%}
    {%- set text = key | replace("'", "''") -%}
    {%- set text = text | replace('\\', '\\\\') if target.type == 'snowflake' else text -%}
    ({{ column }} = '{{ text }}'
    {%- if key.lower().endswith('.zip') %} or substr({{ column }}, 1, {{ key | length + 1 }}) = '{{ text }}#' {%- endif %})
{%- endmacro %}

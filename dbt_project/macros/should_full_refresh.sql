{#- Whether dbt builds an incremental model from scratch. dbt calls this itself, and in `is_incremental()`.

A model's `meta` may name, as `columns_of`, the model that its columns come from. If a column has another type there, or is
not in the table yet, the table is built from scratch. Its values were cast to the old type, and those that did not fit are
null. -#}
{% macro should_full_refresh() %}
    {%- set asked = config.get('full_refresh') -%}
    {#- Cache the answer, so that the hooks after the build get the same one. -#}
    {%- if execute and 'has_other_columns' not in model -%}
        {%- do model.update({'has_other_columns': has_other_columns()}) -%}
    {%- endif -%}
    {%- do return((flags.FULL_REFRESH if asked is none else asked) or model.get('has_other_columns', false)) -%}
{% endmacro %}

{% macro has_other_columns() %}
    {%- set origin = (config.get('meta') or {}).get('columns_of') -%}
    {%- if not origin or load_relation(this) is none -%}
        {%- do return(false) -%}
    {%- endif -%}
    {%- set built = {} -%}
    {%- for column in adapter.get_columns_in_relation(this) -%}
        {%- do built.update({column.name | lower: column.data_type | lower}) -%}
    {%- endfor -%}
    {%- for column in adapter.get_columns_in_relation(ref(origin)) -%}
        {%- set name = column.name | lower -%}
        {%- if name in model.columns and built.get(name) != column.data_type | lower -%}
            {%- do log(this.identifier ~ ' is built from scratch: ' ~ name ~ ' is ' ~ column.data_type ~ ', and was ' ~ built.get(name, 'missing'), info=true) -%}
            {%- do return(true) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- do return(false) -%}
{% endmacro %}

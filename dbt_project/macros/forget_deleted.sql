{#
    Deletes a model's rows whose file was loaded again: those that are older than the newest load of their file, which
    `of_newest_files` tells. Rows of files that the source no longer has at all stay. For the post-hook of an incremental
    model with `_airbyte_extracted_at` and `_ab_source_file_url`.
#}
{% macro forget_deleted(source) -%}
    {%- if is_incremental() -%}
        {%- set raw = raw_types(source) -%}
        {%- set own = airbyte_columns() -%}
        delete from {{ this }} using (
            select file, min(case when last_modified = newest and generation = highest then extracted end) as extracted
            from (
                select
                    loads.*,
                    max(last_modified) over (partition by file) as newest,
                    max(generation) over (partition by file) as highest
                from (
                    select
                        {%- for name, load in [
                            ('_ab_source_file_url', 'file'),
                            ('_ab_source_file_last_modified', 'last_modified'),
                        ] %}
                        {{ cast_value(name, own[name], raw.get(name)) }} as {{ load }},
                        {%- endfor %}
                        {%- set generation = '_airbyte_generation_id' %}
                        coalesce({{ cast_value(generation, own[generation], raw.get(generation)) }}, 0) as generation,
                        {%- set extracted = '_airbyte_extracted_at' %}
                        min({{ cast_value(extracted, own[extracted], raw.get(extracted)) }}) as extracted
                    from {{ source }}
                    group by 1, 2, 3
                ) as loads
            ) as loads
            group by file
        ) as loads
        where {{ this }}._ab_source_file_url = loads.file
            and ({{ this }}._airbyte_extracted_at < loads.extracted or loads.extracted is null)
    {%- endif -%}
{%- endmacro %}

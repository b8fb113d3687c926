{#
    Deletes a model's rows whose file was loaded again: those that are older than the newest load of their file, which
    `of_newest_files` tells. Rows of files that the source no longer has at all stay. For the post-hook of an incremental
    model with `_airbyte_extracted_at` and `_ab_source_file_url`.
#}
{% macro forget_deleted(source) -%}
    {%- if is_incremental() -%}
        delete from {{ this }} using (
            select
                file,
                min(case when last_modified = newest and generation = highest then first_extracted end) as first_extracted
            from (
                select
                    loads.*,
                    max(last_modified) over (partition by file) as newest,
                    max(generation) over (partition by file) as highest
                from ({{ file_loads(source) }}) as loads
            ) as loads
            group by file
        ) as loads
        where {{ this }}._ab_source_file_url = loads.file
            and ({{ this }}._airbyte_extracted_at < loads.first_extracted or loads.first_extracted is null)
    {%- endif -%}
{%- endmacro %}

{#
    Deletes a model's rows whose file was loaded again: those that are older than the newest load of their file, which
    `of_newest_files` tells. Rows of files that the source no longer has at all stay. For the post-hook of an incremental
    model with `of_changed_files`, `_airbyte_extracted_at` and `_ab_source_file_url`, in front of `note_built`.
#}
{% macro forget_deleted(source) -%}
    {%- if is_incremental() -%}
        {%- set last = last_read(model.unique_id) or {'loads': 0} -%}
        delete from {{ this }} using (
            select
                file,
                min(case when last_modified = newest and generation = highest then first_extracted end) as first_extracted
            from (
                select
                    loads.*,
                    max(last_modified) over (partition by file) as newest,
                    max(generation) over (partition by file) as highest
                from {{ noted('loads') }} as loads
                where source = '{{ id_of(source) }}' and row_count > 0
                    and file in ({{ files_loaded_since(id_of(source), last.loads) }})
            ) as loads
            group by file
        ) as loads
        where {{ this }}._ab_source_file_url = loads.file
            and ({{ this }}._airbyte_extracted_at < loads.first_extracted or loads.first_extracted is null)
            and {{ of_changed_files(source) }}
    {%- endif -%}
{%- endmacro %}

{#
    Deletes a model's rows that are older than the newest load of their file, as `of_newest_files` defines it. Rows of files
    that are no longer in the source stay. It is a post-hook for an incremental model with `of_changed_files`,
    `_airbyte_extracted_at` and `_ab_source_file_url`, and runs before `note_built`.
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

{#
    A condition for an incremental model with a source's key. Every row whose newest version may differ from the table meets
    it. A file has changed if a load of it was recorded after the table was last built. The condition is the range of the
    source's `range_column` in all loads of such files, including loads that raw no longer has. Staging's window function and
    the warehouse then read only these rows, so a file of one day costs one day.

    The column has the same name in the source and in the model. The model needs the pre-hook `note_changes` and the
    post-hook `note_built`. Unchanged rows within the range are read unnecessarily; with a key that grows with time they are
    few. If someone deleted rows from the source by hand, use `--full-refresh`.
#}
{% macro of_changed_files(relation) -%}
    {%- set range = changed_range(relation) if execute else none -%}
    {%- if range is none -%}
        true
    {%- elif range.least is none -%}
        {{ range.column }} is null
    {%- else -%}
        ({{ between(range) }} or {{ range.column }} is null)
    {%- endif -%}
{%- endmacro %}

{# `value` is SQL for the column if it does not have the range's type yet. #}
{% macro between(range, value=none) -%}
    {{ value or range.column }} between cast('{{ range.least }}' as {{ range.type }}) and cast('{{ range.greatest }}' as {{ range.type }})
{%- endmacro %}

{# The range for `of_changed_files`; `least` is none if no file has changed. None if every row has to be read. #}
{% macro changed_range(relation) -%}
    {%- set last = last_read(model.unique_id) if is_incremental() else none -%}
    {%- if last is none -%}
        {{ return(none) }}
    {%- endif -%}
    {#- Include loads that raw no longer has, because the model still has their rows. -#}
    {{ return(range_of_loads(relation, 'file in (' ~ files_loaded_since(id_of(relation), last.loads) ~ ')')) }}
{%- endmacro %}

{# The pre-hook of such a model. It records the range in which the build may change rows. #}
{% macro note_changes(relation) -%}
    {%- set range = changed_range(relation) if execute else none -%}
    {%- if range is none or range.least is not none -%}
        insert into {{ noted('changes') }} (node, column_name, least, greatest, number)
        select
            '{{ model.unique_id }}',
            {{ "'" ~ range.column ~ "'" if range else 'null' }},
            {{ "'" ~ range.least ~ "', '" ~ range.greatest ~ "'" if range else 'null, null' }},
            coalesce(max(number), 0) + 1
        from {{ noted('changes') }}
    {%- endif -%}
    {%- if execute and is_incremental() and last_read(model.unique_id) is none -%}
        ; {{ note_lost(relation) }}
    {%- endif -%}
{%- endmacro %}

{# Records files that a model has rows of but raw does not, because raw lost them before loads were recorded. #}
{% macro note_lost(relation) -%}
    {%- set column = range_column(relation) -%}
    insert into {{ noted('loads') }} (
        source, file, last_modified, generation, first_extracted, last_extracted, row_count, least, greatest, number
    )
    select
        '{{ id_of(relation) }}',
        _ab_source_file_url,
        cast('1970-01-01 00:00:00+00:00' as timestamptz),
        0,
        min(_airbyte_extracted_at),
        max(_airbyte_extracted_at),
        0,
        {{ bounds_of(column or 'null', declared_types(relation).get(column)) }},
        0
    from {{ this }}
    where _ab_source_file_url not in (
        select file from {{ noted('loads') }} where source = '{{ id_of(relation) }}' and file is not null
    )
    group by _ab_source_file_url
{%- endmacro %}

{# The last post-hook of such a model, and of one with `of_changed_periods`. The next build continues from here. #}
{% macro note_built() -%}
    {{ note_reads({model.unique_id: ''}) if execute }}
{%- endmacro %}

{# The range of a column in which a model's rows have changed since a number; `least` is none if no row has changed. None if
   the range is unknown or any row may have changed. #}
{% macro noted_range(node_id, number) -%}
    {%- set rows = run_query(
        'select column_name, least, greatest from ' ~ noted('changes') ~ " where node = '" ~ node_id
        ~ "' and number > " ~ number
    ).rows -%}
    {%- set bounds = {'column': none, 'type': none, 'least': none, 'greatest': none} -%}
    {%- for row in rows -%}
        {%- if row[1] is none -%}
            {{ return(none) }}
        {%- endif -%}
        {%- set whole = modules.re.match('-?[0-9]+$', row[1]) -%}
        {%- set least, greatest = (row[1] | int, row[2] | int) if whole else (row[1], row[2]) -%}
        {%- do bounds.update({
            'column': row[0],
            'type': 'bigint' if whole else 'timestamptz',
            'least': least if bounds.least is none else [least, bounds.least] | min,
            'greatest': greatest if bounds.greatest is none else [greatest, bounds.greatest] | max,
        }) -%}
    {%- endfor -%}
    {{ return(bounds) }}
{%- endmacro %}

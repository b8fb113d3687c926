{#
    For an incremental model with a source's key: a condition that every row meets whose newest version may be another one
    than the table's. A file has changed if a load of it was noted after the table was last built; the rows to look at lie
    between the least and the greatest value of the source's `range_column` in such files, in each of their loads, also
    those that raw has lost. Staging's window and the warehouse then read these rows alone, so a day's file costs a day.

    The column has the same name in the source and in the model. The model needs the hooks `note_changes` before it and
    `note_built` after it. The rows in between are read in vain; a key that grows with time keeps them few. If someone
    deleted rows from the source by hand, use `--full-refresh`.
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

{# `value` is for SQL where the column is not yet of the range's type. #}
{% macro between(range, value=none) -%}
    {{ value or range.column }} between cast('{{ range.least }}' as {{ range.type }}) and cast('{{ range.greatest }}' as {{ range.type }})
{%- endmacro %}

{# The range of `of_changed_files`; `least` is none where no file has changed. None where every row is to be looked at. #}
{% macro changed_range(relation) -%}
    {%- set last = last_read(model.unique_id) if is_incremental() else none -%}
    {%- if last is none -%}
        {{ return(none) }}
    {%- endif -%}
    {#- Of loads that raw has lost the model still has rows. -#}
    {{ return(range_of_loads(relation, 'file in (' ~ files_loaded_since(id_of(relation), last.loads) ~ ')')) }}
{%- endmacro %}

{# For the pre-hook of such a model: notes between which values the build may change its rows. #}
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

{# Notes the files of which a model has rows, and raw has none: they were lost before there were notes. #}
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

{# For the last post-hook of such a model, and of one with `of_changed_periods`: the next build begins here. #}
{% macro note_built() -%}
    {{ note_reads({model.unique_id: ''}) if execute }}
{%- endmacro %}

{# Between which values of a column the rows of a model have changed since a number; `least` is none where none has, and
   all is none where that is not known or any row may have. #}
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

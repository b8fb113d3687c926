{#
    SQL that updates `_dbt_parts`: the content of raw, by parts that later loads do not change. The parts are Parquet files on
    DuckDB, and days of extraction on Snowflake. It only reads new and changed parts, except in a run that tests every row or
    builds from scratch.
#}
{% macro note_parts(id, relation) -%}
    {%- if not is_there(relation) -%}
        {{ return(forget_parts(id)) }}
    {%- endif -%}
    {{ return(adapter.dispatch('note_parts')(id, relation, flags.FULL_REFRESH or asks_for_every_row())) }}
{%- endmacro %}

{# A Parquet file with the recorded size and time has the same rows. Any other relation is read completely. #}
{% macro duckdb__note_parts(id, relation, every) -%}
    {%- set folder = parquet_folder(relation) -%}
    {%- if not folder -%}
        {{ return(forget_parts(id) ~ insert_parts(id, file_loads(relation, range_column(relation), part="''"))) }}
    {%- endif -%}
    {%- set held -%}
        select distinct part, size, modified from {{ noted('parts') }} where source = '{{ id }}'
        {%- if every %} and false {% endif %}
    {%- endset -%}
    {%- set differing -%}
        select there.filename is not null, coalesce(there.filename, held.part), there.size, there.last_modified::varchar
        from (select filename, size, last_modified from read_blob({{ folder }})) as there
        full join ({{ held }}) as held
            on held.part = there.filename and held.size = there.size and held.modified = there.last_modified
        where there.filename is null or held.part is null
    {%- endset -%}
    {%- set names, files, stamps = [], [], [] -%}
    {%- for is_new, name, size, modified in run_query(differing).rows -%}
        {%- set name = "'" ~ name | replace("'", "''") ~ "'" -%}
        {%- do names.append(name) -%}
        {%- if is_new -%}
            {%- do files.append(name) -%}
            {%- do stamps.append('(' ~ name ~ ', ' ~ size | int ~ ", timestamptz '" ~ modified ~ "')") -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(
        (forget_parts(id) if every else forget_parts(id, 'part in (' ~ names | join(', ') ~ ')') if names else '')
        ~ (insert_parts(id, file_loads(
            relation, range_column(relation), rows_of_files(relation, folder, files), '_dbt_part'
        ), stamps) if files else '')
    ) }}
{%- endmacro %}

{#
    Rows may be committed days after they were extracted, so the last days are read again. All of raw is read if its number
    of rows, which Snowflake knows without reading them, is not the sum of the parts.
#}
{% macro snowflake__note_parts(id, relation, every) -%}
    {%- set raw = raw_types(relation) -%}
    {%- set extracted = cast_value('_airbyte_extracted_at', 'timestamptz', raw.get('_airbyte_extracted_at')) -%}
    {%- set since = run_query(
        'select cast(cast(max(part) as date) - 2 as varchar) from ' ~ noted('parts') ~ " where source = '" ~ id ~ "'"
    ).rows[0][0] if not every else none -%}
    {%- set recent = relation -%}
    {%- if since -%}
        {%- set recent = '(select * from ' ~ relation ~ ' where ' ~ extracted ~ " >= cast('" ~ since
            ~ " 00:00:00+00:00' as timestamptz)) as recent" -%}
        {%- set earlier = run_query(
            'select coalesce(sum(row_count), 0) from ' ~ noted('parts') ~ " where source = '" ~ id ~ "' and part < '" ~ since ~ "'"
        ).rows[0][0] | int -%}
        {%- set later = run_query('select count(*) from ' ~ recent).rows[0][0] | int -%}
        {%- if run_query('select count(*) from ' ~ relation).rows[0][0] | int != earlier + later -%}
            {%- set since, recent = none, relation -%}
        {%- endif -%}
    {%- endif -%}
    {%- set day = 'cast(' ~ period('day', extracted) ~ ' as varchar)' -%}
    {{ return(
        forget_parts(id, "part >= '" ~ since ~ "'" if since else 'true')
        ~ insert_parts(id, file_loads(relation, range_column(relation), recent, day))
    ) }}
{%- endmacro %}

{% macro forget_parts(id, picked='true') -%}
    delete from {{ noted('parts') }} where source = '{{ id }}' and {{ picked }};
{% endmacro %}

{# `stamps` are rows with a file's name, size and time. A file without rows gets a part without a load. #}
{% macro insert_parts(id, loads, stamps=none) -%}
    insert into {{ noted('parts') }}
    {%- if stamps %}
    select '{{ id }}', files.part, size, modified, loads.* exclude (part)
    from (values {{ stamps | join(', ') }}) as files (part, size, modified)
    left join ({{ loads }}) as loads on loads.part = files.part
    {%- else %}
    select
        '{{ id }}', part, null, null, file, last_modified, generation, first_extracted, last_extracted, row_count, least,
        greatest
    from ({{ loads }}) as loads
    {%- endif %};
{% endmacro %}

{# The glob of a source that is a folder of Parquet files, as a SQL literal; none for any other source. #}
{% macro parquet_folder(relation) -%}
    {%- set folder = modules.re.match("read_parquet[(](?P<glob>'([^']|'')*')", relation | string) -%}
    {{ return(folder.group('glob') if folder else none) }}
{%- endmacro %}

{# A source's rows in some of its Parquet files, with the file's name as `_dbt_part`. A column missing in a file is null. #}
{% macro rows_of_files(relation, folder, files) -%}
    (
        select
            {%- set notes = declared_notes(relation) -%}
            {%- for column in dict(airbyte_columns(), **declared_types(relation)) %}
            {%- set raw = notes.get(column, {}).get('column') %}
            null as {{ raw_name(raw) if raw else column }} {{- ',' if not loop.last }}
            {%- endfor %}
        where false
        union all by name
        select * from {{ (relation | string).replace(folder, '[' ~ files | join(', ') ~ "], filename='_dbt_part'", 1) }}
    )
{%- endmacro %}

{# The source for a test that checks only files loaded since it last passed. On DuckDB it opens only their Parquet files. #}
{% macro parts_to_test(relation, changed) -%}
    {{ return(adapter.dispatch('parts_to_test')(relation) if changed else relation) }}
{%- endmacro %}

{% macro default__parts_to_test(relation) -%}
    {{ return(relation) }}
{%- endmacro %}

{% macro duckdb__parts_to_test(relation) -%}
    {%- set id, folder, files = id_of(relation), parquet_folder(relation), [] -%}
    {%- for row in run_query(
        'select distinct part from ' ~ noted('parts') ~ " where source = '" ~ id ~ "' and row_count > 0 and (file is null or file in ("
        ~ files_loaded_since(id, last_passed().loads) ~ '))'
    ).rows if folder -%}
        {%- do files.append("'" ~ row[0] | replace("'", "''") ~ "'") -%}
    {%- endfor -%}
    {{ return(rows_of_files(relation, folder, files) if files else relation) }}
{%- endmacro %}

{% macro is_there(relation) -%}
    {{ return(adapter.dispatch('is_there')(relation)) }}
{%- endmacro %}

{% macro default__is_there(relation) -%}
    {{ return(adapter.get_relation(relation.database, relation.schema, relation.identifier) is not none) }}
{%- endmacro %}

{# DuckDB cannot read a glob that matches no files. #}
{% macro duckdb__is_there(relation) -%}
    {%- set folder = parquet_folder(relation) -%}
    {{ return(not folder or run_query('select count(*) from glob(' ~ folder ~ ')').rows[0][0] > 0) }}
{%- endmacro %}

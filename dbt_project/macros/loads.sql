{#
    Records what a build or a test still has to read, in four tables beside the marts:

    _dbt_parts    one row per part of raw (see `note_parts`) and load of a file in it
    _dbt_loads    one row per load of a file, with the number of the run that first saw it or saw it change; `least` and
                  `greatest` are the bounds of its rows in the source's `range_column`, as text. The row count of a load
                  that raw no longer has is 0, but a model may still have its rows
    _dbt_changes  one row per incremental build: the range of a column in which its rows may have changed
    _dbt_reads    how far each model was built and each test has passed, as numbers of the two tables above

    These are numbers and not times, because concurrent syncs can commit in another order than they extracted.
#}
{% macro noted(name) -%}
    {{- api.Relation.create(database=target.database, schema=target.schema, identifier='_dbt_' ~ name, type='table') -}}
{%- endmacro %}

{# An on-run-start hook that creates the tables. It runs before `note_loads`. #}
{% macro make_notes() -%}
    {%- set load = 'file varchar, last_modified timestamptz, generation bigint, first_extracted timestamptz, '
        ~ 'last_extracted timestamptz, row_count bigint, least varchar, greatest varchar' -%}
    create table if not exists {{ noted('parts') }} (
        source varchar, part varchar, size bigint, modified timestamptz, {{ load }}
    );
    create table if not exists {{ noted('loads') }} (source varchar, {{ load }}, number bigint);
    create table if not exists {{ noted('changes') }} (
        node varchar, column_name varchar, least varchar, greatest varchar, number bigint
    );
    create table if not exists {{ noted('reads') }} (reader varchar, text varchar, loads bigint, changes bigint)
{%- endmacro %}

{# An on-run-start hook that records the loads of every source with one of the project's tests on raw. #}
{% macro note_loads() -%}
    {%- if execute and flags.WHICH in ['build', 'run', 'test', 'retry', 'snapshot'] and noted_sources() -%}
        {%- for id, relation in noted_sources().items() -%}
            {{ note_parts(id, relation) }}
        {%- endfor -%}
        create or replace table {{ noted('loads') }} as
        with loads as (
            {%- for id, relation in noted_sources().items() %}
            {%- set least, greatest = bounds(declared_types(relation).get(range_column(relation))) %}
            select
                source,
                file,
                last_modified,
                generation,
                min(first_extracted) as first_extracted,
                max(last_extracted) as last_extracted,
                cast(sum(row_count) as bigint) as row_count,
                cast(min({{ least }}) as varchar) as least,
                cast(max({{ greatest }}) as varchar) as greatest
            from {{ noted('parts') }}
            where source = '{{ id }}' and row_count > 0
            group by 1, 2, 3, 4
            {%- if not loop.last %} union all {%- endif -%}
            {%- endfor %}
        ),

        -- A number is never used twice.
        given as (select number from {{ noted('loads') }} union all select loads from {{ noted('reads') }}),

        new as (select coalesce(max(number), 0) + 1 as number from given)

        select
            coalesce(loads.source, held.source) as source,
            coalesce(loads.file, held.file) as file,
            coalesce(loads.last_modified, held.last_modified) as last_modified,
            coalesce(loads.generation, held.generation) as generation,
            coalesce(loads.first_extracted, held.first_extracted) as first_extracted,
            coalesce(loads.last_extracted, held.last_extracted) as last_extracted,
            coalesce(loads.row_count, 0) as row_count,
            coalesce(loads.least, held.least) as least,
            coalesce(loads.greatest, held.greatest) as greatest,
            case
                when held.row_count = coalesce(loads.row_count, 0)
                    and held.last_extracted = coalesce(loads.last_extracted, held.last_extracted)
                    then held.number
                else new.number
            end as number
        from loads
        full join {{ noted('loads') }} as held
            on held.source = loads.source
            and coalesce(held.file, '') = coalesce(loads.file, '')
            and held.last_modified = loads.last_modified
            and held.generation = loads.generation
        cross join new
    {%- endif -%}
{%- endmacro %}

{# The sources whose loads are recorded, by id. #}
{% macro noted_sources() -%}
    {%- set of_raw = ['every_value_is_cast', 'no_airbyte_changes', 'unique_in_each_file'] -%}
    {%- set found = {} -%}
    {%- for test in graph.nodes.values() if (test.test_metadata or {}).name in of_raw -%}
        {%- set id = test.depends_on.nodes[0] -%}
        {%- set node = graph.sources.get(id) -%}
        {%- if node and id not in found -%}
            {%- do found.update({id: builtins.source(node.source_name, node.name)}) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{# The column of a source's key with which builds and tests skip unchanged rows: the first time or whole number in the key,
   by `unique_in_each_file` and sources.yml. None if there is none. #}
{% macro range_column(relation) -%}
    {%- set id = id_of(relation) -%}
    {%- set types = declared_types(relation) -%}
    {%- set found = [] -%}
    {%- for test in graph.nodes.values()
        if execute and (test.test_metadata or {}).name == 'unique_in_each_file' and test.depends_on.nodes[0] == id -%}
        {%- for column in test.test_metadata.kwargs['columns'] if types.get(column) in ['timestamptz', 'bigint'] -%}
            {%- do found.append(column) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(found[0] if found else none) }}
{%- endmacro %}

{# How far a model was built or a test has passed, as numbers `loads` and `changes`; none if that is unknown. #}
{% macro last_read(reader, text='') -%}
    {%- set reads = noted('reads') -%}
    {%- if not execute or not adapter.get_relation(target.database, target.schema, '_dbt_reads') -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set rows = run_query(
        'select loads, changes from ' ~ reads ~ " where reader = '" ~ reader ~ "' and text = '" ~ text ~ "'"
    ).rows -%}
    {{ return({'loads': rows[0][0] | int, 'changes': rows[0][1] | int} if rows else none) }}
{%- endmacro %}

{# SQL that records that readers have processed everything recorded so far. `readers` maps each id to the hash of its text. #}
{% macro note_reads(readers) -%}
    delete from {{ noted('reads') }} where reader in ({% for reader in readers %}'{{ reader }}'{{ ', ' if not loop.last }}{% endfor %});
    insert into {{ noted('reads') }} (reader, text, loads, changes)
    select readers.reader, readers.text, loads.number, changes.number
    from (
        {%- for reader, text in readers.items() %}
        select '{{ reader }}' as reader, '{{ text }}' as text
        {%- if not loop.last %} union all {%- endif -%}
        {%- endfor %}
    ) as readers
    cross join (select coalesce(max(number), 0) as number from {{ noted('loads') }}) as loads
    cross join (select coalesce(max(number), 0) as number from {{ noted('changes') }}) as changes
{%- endmacro %}

{# A query for the files of a source that were loaded, or loaded again, after a number. #}
{% macro files_loaded_since(source_id, number) -%}
    select file from {{ noted('loads') }} where source = '{{ source_id }}' and number > {{ number }}
{%- endmacro %}

{# A query for a source's loads, one row each, as recorded at the start of the last run. It reads the source itself if its
   loads are not recorded: for a source without a test on raw, and in a unit test. #}
{% macro loads_of(relation) -%}
    {%- if execute and not relation.is_cte and id_of(relation) in noted_sources() -%}
        select * from {{ noted('loads') }} where source = '{{ id_of(relation) }}' and row_count > 0
    {%- else -%}
        {{ file_loads(relation) }}
    {%- endif -%}
{%- endmacro %}

{# The range of a source's `range_column` in the loads that meet the condition `picked`. `least` is none if there are no such
   loads. None if the source has no such column. #}
{% macro range_of_loads(relation, picked) -%}
    {%- set column = range_column(relation) -%}
    {%- if column is none -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set type = declared_types(relation)[column] -%}
    {%- set least, greatest = bounds(type) -%}
    {%- set row = run_query(
        'select min(' ~ least ~ '), max(' ~ greatest ~ ') from ' ~ noted('loads') ~ " where source = '" ~ id_of(relation)
        ~ "' and " ~ picked
    ).rows[0] -%}
    {{ return({'column': column, 'type': type, 'least': row[0], 'greatest': row[1]}) }}
{%- endmacro %}

{# SQL for a load's bounds in a comparable form; `type` is the type of the source's `range_column`. #}
{% macro bounds(type) -%}
    {{ return(('cast(least as bigint)', 'cast(greatest as bigint)') if type == 'bigint' else ('least', 'greatest')) }}
{%- endmacro %}

{# The id of a source or model, by its relation; none if it is not in the project. #}
{% macro id_of(relation) -%}
    {%- set found = [] -%}
    {%- if execute and relation is not string -%}
        {%- for node in (graph.sources or {}).values()
            if node.identifier | lower == relation.identifier | lower and node.schema | lower == relation.schema | lower -%}
            {%- do found.append(node.unique_id) -%}
        {%- endfor -%}
        {%- for node in graph.nodes.values()
            if node.resource_type in ['model', 'seed', 'snapshot'] and node.alias | lower == relation.identifier | lower
            and node.schema | lower == relation.schema | lower -%}
            {%- do found.append(node.unique_id) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(found[0] if found else none) }}
{%- endmacro %}

{#
    Logs how many rows of a source are in staging, and why the others are not. Every staging model does this after it is
    built. The platform shows the figures on the run's page and compares them. It counts nothing if nothing was loaded in
    the last hour.

    It only counts rows in the range of `range_column` that the last hour's files cover. All versions of a key are in that
    range, so the figures add up as they would for all rows, at the cost of these files. If the source or the model has no
    such column, it counts all rows.
#}
{% macro count_rows(stream, source, columns, staging) -%}
    {%- set notes = declared_notes(source) -%}
    {%- set names = [] -%}
    {%- for column in columns -%}
        {%- do names.append(raw_value(column, notes.get(column))) -%}
    {%- endfor -%}
    {%- set keys = names | join(', ') -%}
    {%- set since = (run_started_at - modules.datetime.timedelta(hours=1)).isoformat() -%}
    {%- set loaded = "last_extracted >= cast('" ~ since ~ "' as timestamptz)" -%}
    {%- set new = run_query(
        'select count(*) from ' ~ noted('loads') ~ " where source = '" ~ id_of(source) ~ "' and row_count > 0 and " ~ loaded
    ) -%}
    {%- if new.rows[0][0] | int -%}
        {%- set range = range_of_loads(source, loaded) -%}
        {%- set value = cast_declared(range.column, range.type, raw_types(source), notes.get(range.column)) if range else none -%}
        {%- set staged = adapter.get_columns_in_relation(staging) | map(attribute='name') | map('lower') | list -%}
        {%- set bounded = range and range.least is not none and range.column in staged -%}
        {%- set query -%}
            select
                coalesce(sum(in_raw), 0),
                coalesce(sum(twice_in_a_file), 0),
                count(*),
                (
                    select count(*) from {{ staging }}
                    {%- if bounded %} where {{ between(range) }} or {{ range.column }} is null {% endif %}
                )
            from (
                select {{ keys }}, sum(in_file) as in_raw, sum(in_file - 1) as twice_in_a_file
                from (
                    select {{ keys }}, count(*) as in_file
                    from {{ source }}
                    {%- if bounded %} where {{ between(range, value) }} or {{ value }} is null {% endif %}
                    group by
                        {{ keys }}, _ab_source_file_url, _ab_source_file_last_modified, _airbyte_generation_id
                ) as files
                group by {{ keys }}
            ) as keys
        {%- endset -%}
        {%- set row = run_query(query).rows[0] -%}
        {%- set counts = {'stream': stream, 'staging': staging.identifier, 'in_raw': row[0] | int,
            'twice_in_a_file': row[1] | int, 'different_keys': row[2] | int, 'in_staging': row[3] | int} -%}
        {%- do log('rows: ' ~ tojson(counts)) -%}
    {%- endif -%}
{%- endmacro %}

{# The post-hook of every model. It counts rows if the model reads one source, and a test on that source names its key. #}
{% macro count_rows_of_model() -%}
    {%- set parents = model.depends_on.nodes -%}
    {%- if execute and parents | length == 1 and parents[0] in graph.sources -%}
        {%- set source = graph.sources[parents[0]] -%}
        {%- for test in graph.nodes.values()
            if (test.test_metadata or {}).name == 'unique_in_each_file' and test.depends_on.nodes[0] == parents[0] -%}
            {{ count_rows(
                source.name, builtins.source(source.source_name, source.name), test.test_metadata.kwargs.columns, this
            ) }}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}

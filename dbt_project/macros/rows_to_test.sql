{#
    A condition for the rows of `relation` (a source or a model) that a test has to check: those that may have changed since
    it last passed. It is none if the test must check every row:

    - with `--vars '{test_all: true}'`, if the test has not passed yet, or if the code of the test or of a model that it
      reads has changed
    - if something else that the test reads has changed, such as the dimension of a relationship
    - if it counts failures up to a threshold, because small numbers add up; `meta: {of_changes: true}` overrides this
    - for a table that is rebuilt each time, a view over anything but one source, or a model that does not record its changes

    `columns` are the columns of a test that compares rows with each other. They must include the column by which the model
    records its changes. Only then are all rows to compare within the range.
#}
{% macro rows_to_test(relation, columns=none) -%}
    {%- set id = id_of(relation) -%}
    {%- set last = last_passed() if id else none -%}
    {%- if last is none or not others_are_as_they_were(id, last) -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set condition = changed_rows(id, last, columns) -%}
    {%- if condition -%}
        {#- The platform shows this in the test's result. -#}
        {%- do log('looks at changes: ' ~ model.unique_id) -%}
    {%- endif -%}
    {{ return(condition) }}
{%- endmacro %}

{# How far the current test has passed with its current code and that of its models; none if that is unknown. #}
{% macro last_passed() -%}
    {%- if not execute or model.resource_type != 'test' or asks_for_every_row() -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set thresholds = [model.config.warn_if, model.config.error_if] | reject('equalto', '!= 0') | list -%}
    {%- if thresholds and not model.config.meta.get('of_changes') -%}
        {{ return(none) }}
    {%- endif -%}
    {{ return(last_read(model.unique_id, text_of_test(model.unique_id))) }}
{%- endmacro %}

{% macro asks_for_every_row() -%}
    {{ return(var('test_all') | string | lower == 'true') }}
{%- endmacro %}

{# A hash of the code of a test and of the models that it reads. #}
{% macro text_of_test(id) -%}
    {%- set test = graph.nodes[id] -%}
    {%- set read = [] -%}
    {%- do note_ancestors(id, read) -%}
    {%- set texts = [test.raw_code, test.test_metadata | string, test.config.where | string] -%}
    {%- for node in read | sort if node in graph.nodes -%}
        {%- do texts.append(graph.nodes[node].checksum.checksum) -%}
    {%- endfor -%}
    {{ return(local_md5(texts | join(' '))) }}
{%- endmacro %}

{# Adds the ids of everything that a node is built from to the list `found`. #}
{% macro note_ancestors(id, found) -%}
    {%- for parent in (graph.nodes[id].depends_on.nodes if id in graph.nodes else []) if parent not in found -%}
        {%- do found.append(parent) -%}
        {%- do note_ancestors(parent, found) -%}
    {%- endfor -%}
{%- endmacro %}

{# Whether the other nodes that a test reads are unchanged since it passed, except by the loads that changed `id` itself:
   nothing was loaded into another source, and no table was rebuilt. #}
{% macro others_are_as_they_were(id, last) -%}
    {%- set read = [] -%}
    {%- for parent in model.depends_on.nodes if parent != id -%}
        {%- do read.append(parent) -%}
        {%- do note_ancestors(parent, read) -%}
    {%- endfor -%}
    {%- for node in read if node in graph.nodes and graph.nodes[node].config.materialized == 'incremental' -%}
        {%- if noted_range(node, last.changes) is none -%}
            {{ return(false) }}
        {%- endif -%}
    {%- endfor -%}
    {%- set sources = read | select('in', graph.sources) | reject('equalto', id) | unique | list -%}
    {%- if not sources -%}
        {{ return(true) }}
    {%- endif -%}
    {%- set found = run_query(
        'select count(distinct source), max(number) from ' ~ noted('loads') ~ " where source in ('"
        ~ sources | join("', '") ~ "')"
    ).rows[0] -%}
    {{ return(found[0] == sources | length and found[1] <= last.loads) }}
{%- endmacro %}

{% macro changed_rows(id, last, columns=none) -%}
    {%- if id in graph.sources -%}
        {{ return(rows_of_changed_files(id, last) if is_noted(id) else none) }}
    {%- endif -%}
    {%- set node = graph.nodes[id] -%}
    {%- set parents = node.depends_on.nodes -%}
    {%- if node.config.materialized == 'incremental' -%}
        {%- if not run_query('select count(*) from ' ~ noted('changes') ~ " where node = '" ~ id ~ "'").rows[0][0] -%}
            {{ return(none) }}
        {%- endif -%}
        {%- set range = noted_range(id, last.changes) -%}
        {%- if range is none -%}
            {{ return(none) }}
        {%- elif range.least is none -%}
            {{ return('1 = 0') }}
        {%- endif -%}
        {{ return(between(range) if columns is none or range.column in columns else none) }}
    {%- elif node.config.materialized == 'view' and columns is none and parents | length == 1
        and parents[0] in graph.sources and '_ab_source_file_url' in node.columns and is_noted(parents[0]) -%}
        {%- set source = graph.sources[parents[0]] -%}
        {%- set range = range_of_loads(builtins.source(source.source_name, source.name), 'number > ' ~ last.loads) -%}
        {%- set changed = rows_of_changed_files(parents[0], last) -%}
        {{ return(changed if range is none or range.least is none or range.column not in node.columns
            else '(' ~ between(range) ~ ' or ' ~ range.column ~ ' is null) and ' ~ changed) }}
    {%- endif -%}
    {{ return(none) }}
{%- endmacro %}

{% macro is_noted(source_id) -%}
    {{ return(run_query(
        'select count(*) from ' ~ noted('loads') ~ " where source = '" ~ source_id ~ "'"
    ).rows[0][0] > 0) }}
{%- endmacro %}

{# The times let the warehouse skip parts of raw. Rows without a file are always checked. #}
{% macro rows_of_changed_files(source_id, last) -%}
    {%- set loads = 'from ' ~ noted('loads') ~ " where source = '" ~ source_id ~ "' and number > " ~ last.loads -%}
    {%- set times = run_query(
        'select cast(cast(min(first_extracted) as date) - 1 as varchar), '
        ~ 'cast(cast(max(last_extracted) as date) + 2 as varchar) ' ~ loads
    ).rows[0] -%}
    {%- if times[0] is none -%}
        {{ return('1 = 0') }}
    {%- endif -%}
    {%- set condition -%}
        _airbyte_extracted_at >= cast('{{ times[0] }} 00:00:00+00:00' as timestamptz)
        and _airbyte_extracted_at < cast('{{ times[1] }} 00:00:00+00:00' as timestamptz)
        and (_ab_source_file_url in (select file {{ loads }}) or _ab_source_file_url is null)
    {%- endset -%}
    {{ return(condition) }}
{%- endmacro %}

{# dbt calls this for every generic test. Tests that check each row on its own only get the changed rows. #}
{% macro default__get_where_subquery(relation) -%}
    {%- set by_row = ['not_null', 'accepted_values', 'relationships'] -%}
    {%- set name = (model.test_metadata or {}).name if model is defined else '' -%}
    {%- set conditions = [config.get('where'), rows_to_test(relation) if name in by_row else none] | select | list -%}
    {%- if not conditions -%}
        {{ return(relation) }}
    {%- endif -%}
    {%- set filtered -%}
        (select * from {{ relation }} where ({{ conditions | join(') and (') }})) dbt_subquery
    {%- endset -%}
    {{ return(filtered) }}
{%- endmacro %}

{# An on-run-end hook that records how far tests have passed. A test that failed or warned checks the same rows again. #}
{% macro note_tests(results) -%}
    {%- set passed = {} -%}
    {%- for result in results
        if execute and result.node.resource_type == 'test' and result.status == 'pass' -%}
        {%- do passed.update({result.node.unique_id: text_of_test(result.node.unique_id)}) -%}
    {%- endfor -%}
    {%- if passed -%}
        {{ note_reads(passed) }}
    {%- endif -%}
{%- endmacro %}

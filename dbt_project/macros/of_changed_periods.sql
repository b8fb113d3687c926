{#
    A condition on `column` for an incremental model that aggregates `parents` by `period`: month or year. Rows of every
    period in which a parent's row may have changed since the last build meet it. The parents are incremental models that
    record their changes by that column. The model needs the strategy `append`, the pre-hook `forget_periods`, the post-hook
    `note_built`, and `period(…)` as its first column, named month or year.
#}
{% macro of_changed_periods(parents, column, period) -%}
    {%- set days = changed_periods(parents, period) -%}
    {%- if days is none -%}
        true
    {%- elif days.first is none -%}
        false
    {%- else -%}
        {{ column }} >= cast('{{ days.first }} 00:00:00+00:00' as timestamptz)
        and {{ column }} < cast('{{ days.next }} 00:00:00+00:00' as timestamptz)
    {%- endif -%}
{%- endmacro %}

{# The pre-hook of such a model. It deletes the periods that the build computes again. #}
{% macro forget_periods(parents, period) -%}
    {%- if is_incremental() -%}
        {%- set days = changed_periods(parents, period) -%}
        delete from {{ this }}
        where {% if days is none -%}
            true
        {%- elif days.first is none -%}
            false
        {%- else -%}
            {{ period }} >= cast('{{ days.first }}' as date) and {{ period }} < cast('{{ days.next }}' as date)
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{# The first day of the changed periods and the day after them, in UTC; `first` is none if no period has changed. None if
   any period may have changed. #}
{% macro changed_periods(parents, period) -%}
    {%- set last = last_read(model.unique_id) if is_incremental() else none -%}
    {%- if last is none -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set bounds = [] -%}
    {%- for parent in parents -%}
        {%- set range = noted_range(id_of(parent), last.changes) -%}
        {%- if range is none -%}
            {{ return(none) }}
        {%- elif range.least is not none -%}
            {%- do bounds.extend([range.least[:10], range.greatest[:10]]) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if not bounds -%}
        {{ return({'first': none}) }}
    {%- endif -%}
    {%- set first = modules.datetime.date.fromisoformat(bounds | min) -%}
    {%- set last = modules.datetime.date.fromisoformat(bounds | max) -%}
    {%- if period == 'year' -%}
        {{ return({'first': first.replace(month=1, day=1), 'next': last.replace(year=last.year + 1, month=1, day=1)}) }}
    {%- endif -%}
    {%- set next = (last.replace(day=28) + modules.datetime.timedelta(days=4)).replace(day=1) -%}
    {{ return({'first': first.replace(day=1), 'next': next}) }}
{%- endmacro %}

{# The first day of a time's month or year in UTC. #}
{% macro period(name, time) -%}
    {{- adapter.dispatch('period')(name, time) -}}
{%- endmacro %}

{% macro snowflake__period(name, time) -%}
    cast(date_trunc('{{ name }}', cast(convert_timezone('UTC', {{ time }}) as timestamp_ntz)) as date)
{%- endmacro %}

{% macro duckdb__period(name, time) -%}
    cast(date_trunc('{{ name }}', {{ time }} at time zone 'UTC') as date)
{%- endmacro %}

-- Once, by a role that may create roles, users and databases. The names are those of profiles/*.env: where
-- SNOWFLAKE_DATABASE is DATA_PLATFORM, SNOWFLAKE_SCHEMA is ANALYTICS, and SNOWFLAKE_ROLE is DATA_PLATFORM_TRANSFORMER.
-- Each role has what its program does and no more; who owns a table is who made it, so that dbt may alter and drop its own.

create role if not exists DATA_PLATFORM_LOADER;
create role if not exists DATA_PLATFORM_TRANSFORMER;
create role if not exists DATA_PLATFORM_READER;

create warehouse if not exists DATA_PLATFORM_LOADING
    warehouse_size = 'XSMALL' auto_suspend = 60 auto_resume = true initially_suspended = true
    statement_timeout_in_seconds = 3600;
create warehouse if not exists DATA_PLATFORM
    warehouse_size = 'XSMALL' auto_suspend = 60 auto_resume = true initially_suspended = true
    statement_timeout_in_seconds = 3600 statement_queued_timeout_in_seconds = 600 max_concurrency_level = 8;

create warehouse if not exists DATA_PLATFORM_READING
    warehouse_size = 'XSMALL' auto_suspend = 60 auto_resume = true initially_suspended = true
    statement_timeout_in_seconds = 3600;

create database if not exists DATA_PLATFORM;
create schema if not exists DATA_PLATFORM.RAW;
-- dbt makes no schema that is there: so it needs no right to make any.
create schema if not exists DATA_PLATFORM.ANALYTICS;
create schema if not exists DATA_PLATFORM.ANALYTICS_STAGING;
create schema if not exists DATA_PLATFORM.ANALYTICS_INTERMEDIATE;
create schema if not exists DATA_PLATFORM.ANALYTICS_SNAPSHOTS;
create schema if not exists DATA_PLATFORM.ANALYTICS_PUBLISHED;

-- Airbyte: makes and fills the tables of RAW by a stage, and keeps its own working tables in a schema that it makes.
grant usage on warehouse DATA_PLATFORM_LOADING to role DATA_PLATFORM_LOADER;
grant usage, create schema on database DATA_PLATFORM to role DATA_PLATFORM_LOADER;
grant usage, create table, create stage, create file format on schema DATA_PLATFORM.RAW to role DATA_PLATFORM_LOADER;

-- The platform: reads RAW, and makes tables (temporary ones too, for MERGE) and views.
grant usage on warehouse DATA_PLATFORM to role DATA_PLATFORM_TRANSFORMER;
grant usage on database DATA_PLATFORM to role DATA_PLATFORM_TRANSFORMER;
grant usage on schema DATA_PLATFORM.RAW to role DATA_PLATFORM_TRANSFORMER;
grant select on all tables in schema DATA_PLATFORM.RAW to role DATA_PLATFORM_TRANSFORMER;
grant select on future tables in schema DATA_PLATFORM.RAW to role DATA_PLATFORM_TRANSFORMER;
grant usage, create table, create view on schema DATA_PLATFORM.ANALYTICS to role DATA_PLATFORM_TRANSFORMER;
grant usage, create table, create view on schema DATA_PLATFORM.ANALYTICS_STAGING to role DATA_PLATFORM_TRANSFORMER;
grant usage, create table, create view on schema DATA_PLATFORM.ANALYTICS_INTERMEDIATE to role DATA_PLATFORM_TRANSFORMER;
grant usage, create table, create view on schema DATA_PLATFORM.ANALYTICS_SNAPSHOTS to role DATA_PLATFORM_TRANSFORMER;
grant usage, create table on schema DATA_PLATFORM.ANALYTICS_PUBLISHED to role DATA_PLATFORM_TRANSFORMER;

-- People and dashboards: the marts that have passed their tests, on a warehouse of their own so that they never wait for a build, nor it for them.
grant usage on warehouse DATA_PLATFORM_READING to role DATA_PLATFORM_READER;
grant usage on database DATA_PLATFORM to role DATA_PLATFORM_READER;
grant usage on schema DATA_PLATFORM.ANALYTICS_PUBLISHED to role DATA_PLATFORM_READER;
grant select on all tables in schema DATA_PLATFORM.ANALYTICS_PUBLISHED to role DATA_PLATFORM_READER;
grant select on future tables in schema DATA_PLATFORM.ANALYTICS_PUBLISHED to role DATA_PLATFORM_READER;

-- Users of programs: no password. Give each its public key by hand: alter user NAME set rsa_public_key = '...';
create user if not exists DATA_PLATFORM type = SERVICE
    default_role = DATA_PLATFORM_TRANSFORMER default_warehouse = DATA_PLATFORM;
create user if not exists DATA_PLATFORM_AIRBYTE type = SERVICE
    default_role = DATA_PLATFORM_LOADER default_warehouse = DATA_PLATFORM_LOADING;
grant role DATA_PLATFORM_TRANSFORMER to user DATA_PLATFORM;
grant role DATA_PLATFORM_LOADER to user DATA_PLATFORM_AIRBYTE;
-- So that make doctor reads as the readers do.
grant role DATA_PLATFORM_READER to user DATA_PLATFORM;

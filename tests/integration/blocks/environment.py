"""Variables with which the tests of connections fill the environment."""

SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "secret-of-aws",
    "AWS_SESSION_TOKEN": "token-of-aws",
    "AIRBYTE_CLIENT_SECRET": "secret-of-airbyte",
    "SNOWFLAKE_PASSWORD": "secret-of-snowflake",
    "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": "secret-of-the-key",
}
SNOWFLAKE = {
    "SNOWFLAKE_ACCOUNT": "org-account",
    "SNOWFLAKE_USER": "loader",
    "SNOWFLAKE_PASSWORD": SECRETS["SNOWFLAKE_PASSWORD"],
    "SNOWFLAKE_DATABASE": "FLIGHTS",
    "SNOWFLAKE_SCHEMA": "ANALYTICS",
    "SNOWFLAKE_WAREHOUSE": "LOADING",
    "SNOWFLAKE_ROLE": "LOADER",
}

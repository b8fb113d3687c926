"""The install takes from pip's and uv's settings how an index is reached, and nothing else."""

from pathlib import Path

from commands.packages import environment, pip_settings

LISTED = """\
:env:.cert='/etc/corp.pem'
:env:.default-timeout='180'
:env:.user='1'
global.cert='/etc/other.pem'
global.index-url='https://index.example/simple'
global.no-index=''
install.extra-index-url='https://one.example/simple\\nhttps://two.example/simple'
install.target='/somewhere'
install.user='true'
"""


def test_pips_ways_to_an_index_reach_uv_and_what_steers_the_install_reaches_neither() -> None:
    own = {"PATH": "/bin", "PIP_USER": "1", "PIP_TARGET": "/t", "UV_PYTHON": "3.9", "UV_SYSTEM_PYTHON": "1"}
    found = environment({**own, "PYTHONPATH": "/p", "HTTPS_PROXY": "http://proxy:1"}, pip_settings(LISTED))
    assert found == {
        "PATH": "/bin",
        "HTTPS_PROXY": "http://proxy:1",
        "PIP_CERT": "/etc/corp.pem",
        "SSL_CERT_FILE": "/etc/corp.pem",
        "PIP_TIMEOUT": "180",
        "UV_HTTP_TIMEOUT": "180",
        "PIP_INDEX_URL": "https://index.example/simple",
        "UV_DEFAULT_INDEX": "https://index.example/simple",
        "PIP_EXTRA_INDEX_URL": "https://one.example/simple\nhttps://two.example/simple",
        "UV_INDEX": "https://one.example/simple https://two.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def test_an_index_that_is_named_to_uv_itself_stays() -> None:
    found = environment({"UV_INDEX_URL": "https://uv.example", "UV_TARGET": "/t"}, pip_settings(LISTED))
    assert found["UV_INDEX_URL"] == "https://uv.example"
    assert not {"UV_DEFAULT_INDEX", "UV_TARGET"} & found.keys()


def test_a_local_place_that_is_not_there_is_left_out_as_pip_does(tmp_path: Path) -> None:
    places = f"{tmp_path} {tmp_path}/gone file://{tmp_path}/gone https://wheels.example"
    assert environment({}, {"find-links": places})["UV_FIND_LINKS"] == f"{tmp_path},https://wheels.example"

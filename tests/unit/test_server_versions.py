"""Which servers are too old."""

import pytest

from hammerwork_cli.database.drivers.mysql import too_old


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("10.5.29-MariaDB-0+deb11u1", "MariaDB 10.5.29 is too old: 10.6 or newer is needed."),
        ("5.5.68-MariaDB", "MariaDB 5.5.68 is too old: 10.6 or newer is needed."),
        ("5.7.44-log", "MySQL 5.7.44 is too old: 8.0 or newer is needed."),
    ],
)
def test_a_server_that_lacks_what_the_statements_need_is_refused_with_the_version_that_has_it(version, said):
    assert too_old(version) == said


@pytest.mark.parametrize(
    "version",
    [
        "10.6.4-MariaDB",
        "10.11.19-MariaDB-0+deb12u1",
        "11.8.9-MariaDB-0+deb13u1 from Debian",
        "8.0.11",
        "8.4.6-0ubuntu1",
        "9.7.4-2",
        "10.0.0",
    ],
)
def test_a_server_that_is_new_enough_is_taken(version):
    assert too_old(version) is None

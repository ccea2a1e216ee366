"""Tenants, made and removed from the command line."""

import stat
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from ctl.commands import Place, document, ok
from engine.databases import Where


@pytest.fixture
def name(postgres: Where, place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Of a role and schema that no other test of this server has; the database is configured."""
    assert place.path.is_dir()
    monkeypatch.setenv("CLOACINA_DATABASE", postgres.url)
    name = f"tenant_{uuid4().hex[:12]}"
    yield name
    for (role,) in postgres.query("SELECT rolname FROM pg_roles"):
        if role.startswith(name):
            postgres.query(f"DROP OWNED BY {role} CASCADE")
            postgres.query(f"DROP ROLE {role}")


def listed(place: Place) -> list[tuple[str, bool]]:
    found = document(ok(place.invoke("tenant", "list", "--json")))
    return [(each["schema_name"], each["has_own_role"]) for each in found]


def test_a_tenant_is_made_used_and_removed(place: Place, name: str) -> None:
    made = ok(place.invoke("tenant", "create", name, "--output", "t.toml"))
    file = place.path / "t.toml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    place.trust()
    environment = {"CLOACINA_DATABASE": ""}
    run = ("run", place.package(), "--context", '{"name": "you"}', "--json")
    ran = ok(place.invoke("--config", "t.toml", *run, env=environment))
    there = document(
        ok(place.invoke("--config", "t.toml", "execution", "list", "--json", env=environment))
    )
    assert [each["execution_id"] for each in there] == [document(ran)["execution_id"]]
    assert listed(place) == [(name, True)]
    assert "its own role" in ok(place.invoke("tenant", "list")).output
    ok(place.invoke("tenant", "remove", name, "--yes"))
    assert listed(place) == []
    password = file.read_text().split(":")[2].partition("@")[0]
    assert len(password) == 32
    assert password not in made.output + ran.output


def test_a_password_is_shown_once_where_that_is_asked_for(place: Place, name: str) -> None:
    made = ok(place.invoke("tenant", "create", name, "--username", f"{name}_r", "--show-password"))
    assert len(made.stdout.strip()) == 32
    assert made.stdout.strip() not in made.stderr
    assert f"{name}_r" in made.stderr


def test_it_must_be_said_where_the_password_goes_before_anything_is_made(
    place: Place, name: str
) -> None:
    (place.path / "taken").write_text("mine")
    for options, problem in (
        ([], "say where the password is to go"),
        (["--show-password", "--output", "x"], "say where the password is to go"),
        (["--output", "taken"], "exists already and is not written over"),
        (["--output", "no/where"], "No such file"),
    ):
        result = place.invoke("tenant", "create", name, *options)
        assert result.exit_code in {1, 2}
        assert problem in result.output
    assert listed(place) == []
    assert (place.path / "taken").read_text() == "mine"
    assert not (place.path / "x").exists()


def test_what_exists_is_not_made_again_and_no_file_is_left(place: Place, name: str) -> None:
    ok(place.invoke("tenant", "create", name, "--show-password"))
    result = place.invoke("tenant", "create", name, "--output", "t.toml")
    assert result.exit_code == 2
    assert f"there is a schema '{name}' already" in result.output
    assert not (place.path / "t.toml").exists()


def test_removing_asks_first(place: Place, postgres: Where, name: str) -> None:
    ok(place.invoke("tenant", "create", name, "--show-password"))
    assert place.invoke("tenant", "remove", name).exit_code != 0  # nobody is there to say yes
    assert listed(place) == [(name, True)]
    missing = place.invoke("tenant", "remove", "nope", "--yes")
    assert missing.exit_code == 2
    assert "tenant list" in missing.output
    with psycopg.connect(postgres.url, user=name) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_sqlite_has_no_tenants(place: Place) -> None:
    for command in (["list"], ["create", "a", "--show-password"], ["remove", "a", "--yes"]):
        result = place.invoke("tenant", *command)
        assert result.exit_code == 2
        assert "give each tenant a file of its own" in result.output


def test_a_name_that_no_tenant_can_have_is_wrong_usage(place: Place) -> None:
    result = place.invoke("tenant", "create", "a-b", "--show-password")
    assert result.exit_code == 2
    assert "alphanumeric" in result.output

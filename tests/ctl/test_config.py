"""The settings, shown with where each is from."""

import pytest

from ctl.commands import Place, document, ok


def test_every_setting_is_shown_with_its_source_and_what_to_know(place: Place) -> None:
    place.home.mkdir()
    (place.home / "config.toml").write_text("db_pool_size = 2\nmax_losses = 2\n")
    environment = {
        "CLOACINA_MAX_LOSSES": "3",
        "DATABASE_URL": "postgresql://me:secret@host/base",
        "CLOACINA_MAX_LOSES": "x",
    }
    result = ok(place.invoke("--set", "enable_recovery=no", "config", "show", env=environment))
    lines = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert lines["database"].split()[1:] == ["postgresql://me:***@host/base", "DATABASE_URL"]
    assert lines["schema"].split()[1:3] == ["public", "default"]
    assert lines["db_pool_size"].split()[1:] == ["2", str(place.home / "config.toml")]
    assert lines["max_losses"].split()[1:] == ["3", "CLOACINA_MAX_LOSSES"]
    assert lines["enable_recovery"].split()[1:] == ["false", "--set"]
    assert "no effect on SQLite" in lines["scheduler_poll_interval_ms"]
    assert "takes effect with the scheduler" in lines["cron_poll_interval_seconds"]
    assert "as scheduler_poll_interval_ms says" in lines["backstop_seconds"]
    assert "CLOACINA_MAX_LOSES means nothing here; did you mean" in result.stderr
    assert "secret" not in result.output


def test_the_settings_as_json_keep_their_types(place: Place) -> None:
    rows = document(ok(place.invoke("config", "show", "--json", "--database", "x.db")))
    found = {row["name"]: row for row in rows}
    assert found["database"] == {
        "name": "database",
        "value": "x.db",
        "source": "--database",
        "note": "",
    }
    assert found["schema"]["value"] is None
    assert found["max_concurrent_tasks"]["value"] == 4
    assert found["enable_recovery"]["value"] is True
    assert found["backstop_seconds"]["value"] is None


def test_a_named_file_takes_the_place_of_the_homes(place: Place) -> None:
    place.home.mkdir()
    (place.home / "config.toml").write_text("max_losses = 2\n")
    named = place.path / "other.toml"
    named.write_text("db_pool_size = 3\n")
    for line, environment in (
        (["--config", str(named)], {}),
        ([], {"CLOACINA_CONFIG": str(named)}),
    ):
        shown = ok(place.invoke(*line, "config", "show", "--json", env=environment))
        found = {row["name"]: row["value"] for row in document(shown)}
        assert (found["db_pool_size"], found["max_losses"]) == (3, 5)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (["--set", "max_losses"], "--set takes NAME=VALUE"),
        (["--set", "database=x"], "--set takes NAME=VALUE of a setting"),
        (["--set", "max_loses=3"], "did you mean max_losses"),
        (["--set", "max_losses=0"], "--set's max_losses is 0; allowed is a whole number"),
        (["--config", "missing.toml"], "missing.toml cannot be read"),
    ],
)
def test_a_mistake_is_wrong_usage(place: Place, line: list[str], problem: str) -> None:
    result = place.invoke(*line, "config", "show")
    assert result.exit_code == 2
    assert problem in result.output


def test_settings_count_for_a_run(place: Place) -> None:
    place.trust()
    place.package()
    environment = {"CLOACINA_DATABASE": "env.db"}
    ok(place.invoke("run", "greeter.cloacina", "--context", '{"name": "you"}', env=environment))
    assert (place.path / "env.db").exists()
    assert not (place.home / "cloacina.db").exists()
    listed = document(ok(place.invoke("execution", "list", "--json", env=environment)))
    assert [entry["status"] for entry in listed] == ["Completed"]

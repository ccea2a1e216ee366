"""Settings from files, the environment and flags."""

from pathlib import Path

import pytest

from cloacina.errors import (
    ConfigFileError,
    InvalidConfigError,
    InvalidSchemaError,
    InvalidUrlError,
    UnknownSettingError,
)
from cloacina.runner.config import DefaultRunnerConfig
from cloacina.runner.sources import Configuration, Given, Sources, read_configuration
from cloacina.store.url import PostgresLocation, SqliteLocation

NEVER = Path("/the/default.db")


def read(
    file: Path | None = None,
    environment: dict[str, str] | None = None,
    **flags: str,
) -> Configuration:
    given = {name: Given(text, "--set") for name, text in flags.items()}
    sources = Sources(file=file, environment=environment or {}, flags=given, database=NEVER)
    return read_configuration(sources)


def written(path: Path, text: str) -> Path:
    file = path / "c.toml"
    file.write_text(text)
    return file


def test_without_sources_everything_is_the_default() -> None:
    found = read()
    assert found.config == DefaultRunnerConfig()
    assert found.location == SqliteLocation(path=NEVER)
    assert set(found.sources.values()) == {"default"}
    assert found.warnings == ()


def test_later_sources_win_and_each_value_says_where_it_is_from(tmp_path: Path) -> None:
    file = written(
        tmp_path, "db_pool_size = 2\nmax_losses = 2\nmax_concurrent_tasks = 2\nlease_seconds = 20\n"
    )
    environment = {"CLOACINA_MAX_LOSSES": "3", "CLOACINA_MAX_CONCURRENT_TASKS": "3"}
    found = read(file, environment, max_concurrent_tasks="4")
    config = found.config
    assert (config.db_pool_size, config.max_losses, config.max_concurrent_tasks) == (2, 3, 4)
    names = ("max_concurrent_tasks", "max_losses", "db_pool_size", "heartbeat_seconds")
    assert [found.sources[name] for name in names] == [
        "--set",
        "CLOACINA_MAX_LOSSES",
        str(file),
        "default",
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [("none", None), ("None", None), ("2.5", 2.5), ("60", 60), (" 7 ", 7)],
)
def test_a_text_is_read_as_what_it_stands_for(text: str, value: float | None) -> None:
    environment = {"CLOACINA_WORKFLOW_TIMEOUT_SECONDS": text}
    assert read(environment=environment).config.workflow_timeout_seconds == value


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("0", False), ("OFF", False), ("Yes", True)]
)
def test_a_switch_is_read_from_any_usual_word(text: str, value: bool) -> None:
    assert read(enable_recovery=text).config.enable_recovery is value


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("CLOACINA_MAX_CONCURRENT_TASKS", "many"),
        ("CLOACINA_MAX_CONCURRENT_TASKS", "4.5"),
        ("CLOACINA_MAX_CONCURRENT_TASKS", "none"),
        ("CLOACINA_ENABLE_RECOVERY", "perhaps"),
        ("CLOACINA_LEASE_SECONDS", "nan"),
        ("CLOACINA_LEASE_SECONDS", "9" * 5000),
    ],
)
def test_a_variable_that_is_not_allowed_is_refused_by_its_name(variable: str, text: str) -> None:
    with pytest.raises(InvalidConfigError, match=f"Invalid configuration: {variable} is"):
        read(environment={variable: text})


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("max_concurrent_tasks = 0", r"max_concurrent_tasks in .*c\.toml is 0; allowed"),
        ("max_concurrent_tasks = true", "is True; allowed is a whole number"),
        ('max_concurrent_tasks = "4"', "is '4'; allowed is a whole number"),
        ("max_concurent_tasks = 4", "did you mean max_concurrent_tasks"),
        ("databse = 'x'", "did you mean database"),
        ("zzz = 1", "config show"),
        ("[runner]\nmax_losses = 3", "there is no setting 'runner in "),
        ("database = 5", "database in .* is 5; allowed is a text"),
        ("schema = ''", "schema in .* is ''; allowed is a text"),
        ("a = = b", r"c\.toml is not TOML"),
        ("lease_seconds = 2", r"heartbeat_seconds is 5; allowed is a number from 0\.1 to 1\.0"),
        ("heartbeat_seconds = 9", r"heartbeat_seconds from .*c\.toml is 9; allowed"),
    ],
)
def test_a_mistake_in_a_file_is_an_error_that_names_it(
    tmp_path: Path, line: str, problem: str
) -> None:
    with pytest.raises(
        (InvalidConfigError, UnknownSettingError, ConfigFileError), match=problem
    ) as refused:
        read(written(tmp_path, line))
    assert str(refused.value).startswith("Invalid configuration: ")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name, problem in (("missing", "No such file"), (".", "directory"), ("binary", "TOML")):
        with pytest.raises(ConfigFileError, match=problem):
            read(tmp_path / name)


def test_variables_that_mean_nothing_are_warned_about_by_name_alone() -> None:
    environment = {
        "CLOACINA_MAX_CONCURENT_TASKS": "secret",
        "CLOACINA_WHATEVER": "secret",
        "CLOACINA_HOME": "/x",
        "CLOACINA_CONFIG": "/x",
        "CLOACINA_VAR_TOKEN": "x",
        "PATH": "/bin",
    }
    assert read(environment=environment).warnings == (
        "the environment variable CLOACINA_MAX_CONCURENT_TASKS means nothing here; did you mean "
        "CLOACINA_MAX_CONCURRENT_TASKS?",
        "the environment variable CLOACINA_WHATEVER means nothing here",
    )


def test_an_empty_variable_counts_as_not_set() -> None:
    empty = {"CLOACINA_MAX_LOSSES": "", "CLOACINA_DATABASE": "", "DATABASE_URL": ""}
    found = read(environment=empty)
    assert found.config == DefaultRunnerConfig()
    assert found.location == SqliteLocation(path=NEVER)


def test_the_database_url_of_the_environment_is_the_default_alone(tmp_path: Path) -> None:
    usual = {"DATABASE_URL": "postgres://u:secret@h/d"}
    found = read(environment=usual)
    assert found.location == PostgresLocation(url="postgres://u:secret@h/d")
    assert found.sources["database"] == "DATABASE_URL"
    file = written(tmp_path, "database = 'file.db'")
    assert read(file, usual).location == SqliteLocation(path=Path("file.db"))
    own = {**usual, "CLOACINA_DATABASE": "env.db"}
    assert read(file, own).location == SqliteLocation(path=Path("env.db"))
    assert read(file, own, database="flag.db").location == SqliteLocation(path=Path("flag.db"))


def test_a_schema_goes_with_the_database_that_it_was_named_for(tmp_path: Path) -> None:
    file = written(tmp_path, "database = 'postgres://h/d'\nschema = 'acme'")
    assert read(file).location == PostgresLocation(url="postgres://h/d", schema="acme")
    assert read(file, schema="b").location == PostgresLocation(url="postgres://h/d", schema="b")
    elsewhere = read(file, database="postgres://h/other").location
    assert elsewhere == PostgresLocation(url="postgres://h/other", schema="acme")
    assert read(file, database="x.db").location == SqliteLocation(path=Path("x.db"))
    with pytest.raises(InvalidUrlError, match="which alone has schemas"):
        read(file, database="x.db", schema="b")
    with pytest.raises(InvalidSchemaError):
        read(file, schema="a-b")


def test_a_url_that_cannot_be_used_is_refused_with_its_source_and_without_its_password() -> None:
    for url in ("mysql://u:se/cr?et@h/d", "mysql://u:secr@et@h/d?password=secret"):
        with pytest.raises(InvalidUrlError, match=r"from DATABASE_URL.*'mysql'") as refused:
            read(environment={"DATABASE_URL": url})
        assert "cr" not in str(refused.value)
        assert "et@" not in str(refused.value)

"""What a package says of itself."""

from cloacina_signing.keys import PrivateKey
from ctl.commands import Place, document, ok
from packages.makers import AUTHOR, digest_of

DIAMOND = """
from cloacina_sdk import task, workflow

@workflow(name="diamond", description="fans out and in")
class Diamond:
    @task
    def top(context): ...
    @task(dependencies=[top])
    def left(context): ...
    @task(dependencies=[top])
    def right(context): ...
    @task(dependencies=[left, right])
    def bottom(context): ...
"""


def test_the_graph_is_a_tree_of_plain_characters(place: Place) -> None:
    package = place.package(source=DIAMOND, description="shows a\ntree", authors=("Ann", "Bob"))
    shown = ok(place.invoke("inspect", package)).output
    assert shown.isascii()
    assert shown.splitlines()[:4] == [
        "greeter 1.0",
        f"|-- digest: {digest_of(package.read_bytes())}",
        "|-- release: 1",
        "|-- publisher: local",
    ]
    assert (
        "|-- workflow diamond: fans out and in\n"
        "|   `-- top\n"
        "|       |-- left\n"
        "|       `-- right\n"
        "|           `-- bottom  (also after left)\n"
    ) in shown
    assert "|-- authors: Ann, Bob\n" in shown
    assert "|-- description: shows a tree\n" in shown
    assert "|-- platforms: py3-none-any\n" in shown
    assert f"    `-- {AUTHOR.public.key_id}: not known here\n" in shown


def test_json_has_everything(place: Place) -> None:
    place.trust()
    friend = PrivateKey.generate("friend")
    package = place.package(source=DIAMOND, keys=(AUTHOR, friend))
    described = document(ok(place.invoke("inspect", package, "--json")))
    assert described["workflows"] == [
        {
            "name": "diamond",
            "description": "fans out and in",
            "tasks": [
                {"id": "top", "dependencies": []},
                {"id": "left", "dependencies": ["top"]},
                {"id": "right", "dependencies": ["top"]},
                {"id": "bottom", "dependencies": ["left", "right"]},
            ],
        }
    ]
    assert described["platforms"] == ["py3-none-any"]
    assert described["isolation"] == "process"
    assert [entry["name"] for entry in described["entries"]] == [
        "manifest.json",
        "payload/greeter-1.0-py3-none-any.whl",
        "signatures.json",
    ]
    by_key = {signature["key_id"]: signature for signature in described["signatures"]}
    assert by_key == {
        AUTHOR.public.key_id: {
            "key_id": AUTHOR.public.key_id,
            "owner": "author",
            "valid": True,
            "trusted": True,
        },
        friend.public.key_id: {
            "key_id": friend.public.key_id,
            "owner": None,
            "valid": None,
            "trusted": False,
        },
    }


def test_a_known_key_does_not_count_for_a_name_that_it_was_not_granted(place: Place) -> None:
    place.trust("other-*")
    (signature,) = document(ok(place.invoke("inspect", place.package(), "--json")))["signatures"]
    assert (signature["valid"], signature["trusted"]) == (True, False)
    assert (
        "valid, but not trusted with this name"
        in place.invoke("inspect", "greeter.cloacina").output
    )


def test_control_characters_of_a_package_do_not_reach_the_terminal(place: Place) -> None:
    package = place.package(description="nice\x1b]0;title\x07 \u202e tool", authors=("\x1b[2J",))
    shown = ok(place.invoke("inspect", package)).output
    assert "description: nice\\x1b]0;title\\x07 \\u202e tool" in shown
    assert "\x1b" not in shown
    raw = ok(place.invoke("inspect", package, "--json"))
    assert raw.output.isascii()
    assert "\x1b" not in raw.output
    assert document(raw)["authors"] == ["\x1b[2J"]


def test_a_package_for_another_platform_is_still_described(place: Place) -> None:
    package = place.package(tag="cp39-abi3-win_amd64")
    assert document(ok(place.invoke("inspect", package, "--json")))["platforms"] == [
        "cp39-abi3-win_amd64"
    ]


def test_a_truncated_archive_is_a_clear_error(place: Place) -> None:
    package = place.package()
    package.write_bytes(package.read_bytes()[:-10])
    result = place.invoke("inspect", package)
    assert result.exit_code == 3
    assert result.output.startswith(
        "Error: the package is refused: not a canonical package archive"
    )
    assert result.output.splitlines()[1:] == [
        "  Get the file again from where it came, or build it again."
    ]


def test_a_terminal_gets_colours_unless_they_are_unwanted(place: Place) -> None:
    package = place.package(source=DIAMOND)
    coloured = place.run_on_a_terminal("inspect", str(package))
    assert "\x1b[36mbottom" in coloured
    assert "└──" in coloured
    plain = place.run_on_a_terminal("inspect", str(package), NO_COLOR="1")
    assert "\x1b[36m" not in plain
    assert "bottom" in plain

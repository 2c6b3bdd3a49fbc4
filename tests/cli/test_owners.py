"""nugetproxy owner, nugetproxy prefix: which ids belong to whom."""


class TestOwnersAndPrefixes:
    def test_owners(self, alice):
        alice.done("org", "add", "Contoso", "--admin", "alice")
        assert alice.json("owner", "add", "Contoso.Core", "contoso")["owners"] == ["Contoso"]
        assert alice.json("owner", "add", "contoso.core", "alice")["owners"] == ["alice", "Contoso"]
        assert alice.json("owner", "remove", "Contoso.Core", "alice")["owners"] == ["Contoso"]
        assert "last owner" in alice.refused("owner", "remove", "Contoso.Core", "Contoso")
        assert alice.json("owner", "remove", "Contoso.Core", "Contoso", "--force")["owners"] == []
        assert alice.run("owner", "list", "Contoso.Core").stderr == "Contoso.Core has no owners.\n"

    def test_an_id_that_is_none(self, alice):
        alice.refused("owner", "list", "a/b", code=2)

    def test_reserving(self, alice):
        made = alice.json("prefix", "reserve", "Contoso.*", "--owner", "alice")

        assert made == {
            "pattern": "Contoso.*", "owners": ["alice"], "shared": False, "from": "reservation", "protected": True,
        }  # fmt: skip

    def test_a_shared_prefix_says_that_it_is_not_protected(self, alice):
        ended = alice.run("prefix", "reserve", "Contoso.*", "--owner", "alice", "--shared")

        assert "upstreams are still asked for ids below Contoso.*" in ended.stderr
        assert "shared" in ended.stdout

    def test_sharing_stays_as_it_is(self, alice):
        alice.done("user", "add", "bobby")
        for options, expected in (
            (("--shared",), True), ((), True), (("--not-shared",), False), ((), False), (("--shared",), True),
        ):  # fmt: skip
            made = alice.json("prefix", "reserve", "Team.*", "--owner", "bobby", *options)
            assert (made["shared"], made["protected"]) == (expected, not expected)

    def test_one_owner_leaves(self, alice):
        alice.done("user", "add", "bobby")
        for name in ("alice", "bobby"):
            alice.done("prefix", "reserve", "Team.*", "--owner", name)
        alice.done("prefix", "release", "Team.*", "--owner", "alice")

        assert [each["owners"] for each in alice.json("prefix", "list")] == [["bobby"]]
        assert "for bobby alone" in alice.refused("prefix", "release", "Team.*", "--owner", "bobby")

    def test_a_prefix_that_takes_more_than_it_says_must_be_meant(self, alice):
        assert "--wide" in alice.refused("prefix", "reserve", "Team*", "--owner", "alice", code=2)
        assert alice.json("prefix", "reserve", "Team*", "--owner", "alice", "--wide")["pattern"] == "Team*"
        alice.refused("prefix", "reserve", "T*", "--owner", "alice", "--wide", code=2)

    def test_listing_and_releasing(self, alice, tmp_path):
        (tmp_path / "n.toml").write_text('[feed]\nprotected_prefixes = ["House."]\n')
        alice.done("prefix", "reserve", "Contoso.", "--owner", "alice")
        listed = alice.json("prefix", "list", "--config", str(tmp_path / "n.toml"))
        alice.done("prefix", "release", "contoso.*")

        assert [(each["pattern"], each["from"]) for each in listed] == [
            ("Contoso.*", "reservation"),
            ("House.*", "settings"),
        ]
        assert alice.json("prefix", "list") == []
        assert "is not reserved" in alice.refused("prefix", "release", "Contoso.*")

    def test_everything_cannot_be_reserved(self, alice):
        alice.refused("prefix", "reserve", "*", "--owner", "alice", code=2)

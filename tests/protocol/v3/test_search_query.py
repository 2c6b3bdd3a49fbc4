import pytest

from nugetproxy.protocol.v3.registration import Hive
from nugetproxy.protocol.v3.search import CompletionQuery, SearchQuery


def search(**params):
    return SearchQuery.from_params(params)


def complete(**params):
    return CompletionQuery.from_params(params)


def test_without_parameters_everything_is_requested():
    assert search() == SearchQuery("", 0, 20, False, False, None)


@pytest.mark.parametrize(
    ("expected", "text"),
    [(0, "0"), (5, "5"), (3000, "3000"), (0, "-1"), (0, "x"), (0, ""), (0, "1.5"), (0, "٣"), (0, "9" * 5000)],
)
def test_skip(expected, text):
    assert search(skip=text).skip == expected


@pytest.mark.parametrize(
    ("expected", "text"),
    [(0, "0"), (5, "5"), (1000, "1000"), (20, "1001"), (20, "-1"), (20, "x"), (20, ""), (20, "9" * 5000)],
)
def test_take(expected, text):
    assert search(take=text).take == expected


@pytest.mark.parametrize(
    ("expected", "text"), [(True, "true"), (True, "True"), (False, "False"), (False, ""), (False, "1"), (False, "yes")]
)
def test_prerelease(expected, text):
    """
    PSResourceGet sends `True` and `False`.
    """
    assert search(prerelease=text).prerelease == expected


@pytest.mark.parametrize(
    ("expected", "text"),
    [(True, "2.0.0"), (True, "2"), (True, "3.0.0-x"), (False, "1.0.0"), (False, "2.0.0-rc"), (False, ""), (False, "x")],
)
def test_semver_level(expected, text):
    assert search(semVerLevel=text).semver_level2 == expected


@pytest.mark.parametrize(("hive", "level"), [(Hive.GZ_SEMVER2, "2.0.0"), (Hive.GZ, "")])
def test_results_link_to_a_hive_that_the_client_can_read(hive, level):
    assert search(semVerLevel=level).hive == hive


def test_names_are_case_insensitive():
    assert SearchQuery.from_params({"Q": "a", "SEMVERLEVEL": "2.0.0"}) == SearchQuery("a", semver_level2=True)


def test_parameters_that_nuget_org_ignores_are_ignored():
    assert search(supportedFramework="net8.0", includeDelisted="true", sortBy="x") == SearchQuery()


@pytest.mark.parametrize(
    ("nothing", "query"),
    [
        (False, search(skip="3000")),
        (True, search(skip="3001")),
        (False, search(packageType="")),
        (False, search(packageType="DotnetTool")),
        (True, search(packageType="dotnet tool")),
        (True, complete(skip="3001")),
        (False, complete(skip="3001", id="A")),
        (True, complete(id="no id")),
        (True, complete(id="")),
        (False, complete(id="A")),
    ],
)
def test_requests_with_an_empty_result_are_not_sent(nothing, query):
    assert query.asks_nothing == nothing


def test_parameters_are_in_the_order_of_the_official_client():
    query = search(packageType="dotnettool", semVerLevel="2.0.0", take="5", q="a b", prerelease="True")

    assert query.params() == [
        ("q", "a b"),
        ("skip", "0"),
        ("take", "5"),
        ("prerelease", "true"),
        ("semVerLevel", "2.0.0"),
        ("packageType", "dotnettool"),
    ]


def test_equal_queries_give_equal_parameters():
    assert search(q="a", skip="-3", take="5000").params() == search(take="20", q="a", prerelease="false").params()


@pytest.mark.parametrize(
    ("versions", "query"),
    [
        (True, complete(id="A")),
        (False, complete(id="A", q="")),
        (False, complete(q="a")),
        (False, complete()),
    ],
)
def test_versions_are_requested_if_only_an_id_is_given(versions, query):
    assert query.asks_versions == versions


def test_versions_are_not_paged():
    """
    Paket requests 100,000 of them.
    """
    query = complete(id="A", take="100000", semVerLevel="2.0.0", packageType="x")

    assert query.params() == [("id", "A"), ("prerelease", "false"), ("semVerLevel", "2.0.0")]


def test_ids_are_requested_with_text_and_page():
    assert complete(q="newtons", packageType="x").params() == [
        ("q", "newtons"),
        ("skip", "0"),
        ("take", "20"),
        ("prerelease", "false"),
        ("packageType", "x"),
    ]

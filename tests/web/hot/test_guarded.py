"""Without the right to answer from memory there are no hot answers; with it, the same ones as before."""

import time

from nugetproxy.storage.revisions import Change, Revisions
from nugetproxy.web.hot.guarded import GuardedHotTable
from tests.web.lanes import hot_json


def test_answers_are_kept_and_not_sent_without_the_right():
    right = [True]
    table = GuardedHotTable(1_000_000, lambda: 0, may_remember=lambda: right[0])
    answer = hot_json()
    table.offer("/a", None, answer)
    found = []
    for right[0] in (True, False, True):
        found.append(table.find(b"/a", b"http://a", time.monotonic()))

    assert found == [answer, None, answer]
    assert (table.found_in_memory, table.not_found) == (2, 1)


def test_a_change_meanwhile_outdates_them():
    revisions, right = Revisions(None), [True]
    table = GuardedHotTable(1_000_000, lambda: 0, may_remember=lambda: right[0], packages=revisions.packages)
    table.offer("/a", None, hot_json())
    right[0] = False
    revisions.bump(Change.of_hosting("contoso.one"))
    right[0] = True

    assert table.find(b"/a", b"http://a", time.monotonic()) is None

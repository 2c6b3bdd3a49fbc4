from nugetproxy.httpcache.outcome import OWN, Outcome, Provenance


def test_joined_provenances_take_the_worse_older_and_shorter():
    hit = Provenance(Outcome.HIT, age=5, fresh_for=50, detail="a")
    stale = Provenance(Outcome.STALE, age=3, fresh_for=-1, stored=True, detail="b")

    assert Provenance(Outcome.STALE, 5, -1, True, "b") == hit.joined(stale) == stale.joined(hit)


def test_our_own_responses_have_no_age():
    assert (OWN.outcome, OWN.age, OWN.fresh_for) == (Outcome.OWN, 0, 0)

"""The metrics directory: one for each supervisor, gone with it, and not on a disk that may be full."""

import os
import time

from nugetproxy.runtime.metrics_directory import MetricsDirectory


def test_is_made_in_memory(tmp_path):
    directory = MetricsDirectory(memory=tmp_path)

    made = directory.prepare(str(tmp_path / "kept"))

    assert os.path.dirname(made) == str(tmp_path)
    assert not (tmp_path / "kept").exists()
    directory.remove()


def test_is_made_below_the_data_directory_where_there_is_no_memory(tmp_path):
    directory = MetricsDirectory(memory=tmp_path / "nowhere")

    assert directory.prepare(str(tmp_path / "kept")).startswith(str(tmp_path / "kept" / "metrics"))
    directory.remove()


def test_is_the_same_while_it_lasts(tmp_path):
    directory = MetricsDirectory(memory=tmp_path)

    assert directory.prepare("x") == directory.prepare("x")
    directory.remove()
    assert list(tmp_path.iterdir()) == []


def test_anothers_is_left_alone_until_it_is_abandoned(tmp_path):
    one, other = MetricsDirectory(memory=tmp_path), MetricsDirectory(memory=tmp_path)
    first = one.prepare("x")
    second = other.prepare("x")
    assert sorted(map(str, tmp_path.iterdir())) == sorted([first, second])

    assert one._lock is not None
    os.close(one._lock)  # what the kernel does when its supervisor is killed
    one._lock = None
    third = MetricsDirectory(memory=tmp_path)
    assert sorted([second, third.prepare("x")]) == sorted(map(str, tmp_path.iterdir()))
    for each in (other, third):
        each.remove()


def test_one_in_the_making_is_left_alone_for_a_while(tmp_path):
    young, old = tmp_path / "nugetproxy-metrics-young", tmp_path / "nugetproxy-metrics-old"
    young.mkdir()
    old.mkdir()
    os.utime(old, (time.time() - 3600, time.time() - 3600))

    directory = MetricsDirectory(memory=tmp_path)
    directory.prepare("x")

    assert young.exists()
    assert not old.exists()
    directory.remove()


def test_only_the_live_gauges_of_a_dead_worker_are_forgotten(tmp_path):
    directory = MetricsDirectory(memory=tmp_path)
    path = tmp_path / directory.prepare("x")
    for name in ("gauge_livesum_7.db", "gauge_livemax_7.db", "gauge_livesum_77.db", "counter_7.db", "histogram_7.db"):
        (path / name).touch()

    directory.forget(7)

    assert {"gauge_livesum_77.db", "counter_7.db", "histogram_7.db", "owned"} == {each.name for each in path.iterdir()}
    directory.remove()

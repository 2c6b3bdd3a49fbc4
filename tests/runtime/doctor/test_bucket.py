from dataclasses import asdict

from nugetproxy.config import Config
from nugetproxy.runtime.doctor.bucket import bucket_facts
from nugetproxy.storage.blobs.s3_client import BucketAddress


def shared(bucket: BucketAddress, **changes: str) -> Config:
    settings = {"dsn_file": "unread", **asdict(bucket), **changes}
    return Config.model_validate({"storage": {"kind": "shared", "shared": settings}})


def test_a_bucket_that_can_be_used(bucket):
    found = bucket_facts(shared(bucket))

    assert found is not None
    assert bucket.endpoint in found.name
    assert found.why == ""


def test_a_bucket_that_cannot_be_used(bucket, tmp_path):
    (tmp_path / "secret").write_text("wrong")
    found = bucket_facts(shared(bucket, secret_key_file=str(tmp_path / "secret")))

    assert found is not None
    assert found.why.startswith("cannot list blobs: the bucket answers 403")


def test_embedded_storage_has_none():
    assert bucket_facts(Config()) is None

"""Whether the bucket of a shared installation can be used. Loaded only where there is one."""

from nugetproxy.config import Config
from nugetproxy.errors import StorageUnavailable
from nugetproxy.runtime.bucket_address import bucket_address
from nugetproxy.runtime.doctor.facts import Bucket
from nugetproxy.storage.blobs.s3 import BucketBlobs
from nugetproxy.storage.blobs.s3_client import BucketClient


def bucket_facts(config: Config) -> Bucket | None:
    """None with embedded storage. Writes a small object, which is removed again. Blocks for at most some minutes."""
    if config.storage.kind != "shared":
        return None
    address = bucket_address(config)
    try:
        BucketBlobs(BucketClient(address)).rehearse()
    except StorageUnavailable as error:
        return Bucket(str(address), str(error))
    return Bucket(str(address))

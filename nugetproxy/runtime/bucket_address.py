"""Where the bucket of the settings is. Loaded only where there is one."""

from nugetproxy.config import Config
from nugetproxy.storage.blobs.s3_client import BucketAddress


def bucket_address(config: Config) -> BucketAddress:
    """As `storage.shared` says."""
    shared = config.storage.shared
    return BucketAddress(
        shared.bucket,
        shared.endpoint,
        shared.region,
        shared.prefix,
        shared.access_key_file,
        shared.secret_key_file,
        shared.ca_file,
    )

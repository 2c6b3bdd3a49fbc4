"""The properties of a blob."""

from nugetproxy.feeds.offers import FileKind
from nugetproxy.hosting.moving_in.nexus import Blob, read_blob

TEXT = """#2023-05-06 07:08:09,123+0000
#Sat May 06 07:08:09 UTC 2023
@BlobStore.created-by=admin
size=1234
@Bucket.repo-name=nuget-hosted
creationTime=1683356889123
@BlobStore.content-type=application/zip
@BlobStore.blob-name=Contoso.Utils/1.0.0
sha1=0123
"""


def test_a_package_of_a_v2_repository():
    blob = read_blob(TEXT)
    assert blob == Blob("nuget-hosted", "Contoso.Utils/1.0.0", False, 1_683_356_889_123_000, 1234)
    assert (str(blob.package), blob.kind) == ("Contoso.Utils 1.0.0", FileKind.PACKAGE)


def test_a_package_of_a_v3_repository():
    blob = read_blob("@BlobStore.blob-name=/v3/content/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg")
    assert (str(blob.package), blob.kind) == ("contoso.utils 1.0.0", FileKind.PACKAGE)


def test_a_deleted_one():
    assert read_blob(TEXT + "deleted=true\ndeletedReason=by admin\n").is_deleted


def test_other_formats_are_no_packages():
    for name in ("org/acme/lib/1.0/lib-1.0.jar", "lodash/-/lodash-4.17.0.tgz", "v2/blobs/sha256:abc", ""):
        blob = read_blob(f"@BlobStore.blob-name={name}")
        assert (blob.package, blob.kind) == (None, None), name


def test_the_notation_of_java():
    blob = read_blob("@Bucket.repo-name : a\\ b\\u0041\\:\\=\n@BlobStore.blob-name\tContoso.Utils/1.0.0")
    assert (blob.repository, str(blob.package)) == ("a bA:=", "Contoso.Utils 1.0.0")


def test_what_cannot_be_read_says_nothing():
    assert read_blob("creationTime=soon\nsize=-1\n\n=\n\\\n\x00") == Blob("", "", False, None, None)

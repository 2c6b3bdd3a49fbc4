"""Every way a request can fail, named in our own words.

There is no HTTP here: `web/http/errors.py` holds the one table that turns a class into a status. An error carries
fields and builds its sentence from them; the sentence is shown to people, in the HTTP reason phrase too, so it is one
line, says what is wrong, and never holds a secret.
"""


class NugetproxyError(Exception):
    """The base of every failure this project names. `str(error)` is one line fit for a user.

    It is pickled with its fields, whatever its constructor takes: between processes of ours.
    """

    def __reduce__(self) -> tuple[object, ...]:
        return _restored, (type(self), self.args, vars(self))


def _restored(kind: type[NugetproxyError], args: tuple[object, ...], fields: dict[str, object]) -> NugetproxyError:
    error = kind.__new__(kind, *args)
    vars(error).update(fields)
    return error


# --- the caller's fault -----------------------------------------------------------------------------------------------


class InvalidRequest(NugetproxyError):
    """The caller's URL, query or body cannot be read; the sentence says what is wrong and what would be right."""


class InvalidVersion(InvalidRequest):
    """A text that is not a NuGet version (nuget-protocol: package versioning)."""

    def __init__(self, text: str, why: str = "expected N[.N[.N[.N]]][-label][+metadata]") -> None:
        self.text = text
        self.why = why
        super().__init__(f"{_shown(text)} is not a NuGet version: {why}")


class InvalidVersionRange(InvalidRequest):
    """A text that is not a NuGet version range in interval notation."""

    def __init__(self, text: str, why: str) -> None:
        self.text = text
        self.why = why
        super().__init__(f"{_shown(text)} is not a NuGet version range: {why}")


class InvalidPackageId(InvalidRequest):
    """A text that cannot be the id of a package."""

    def __init__(self, text: str, why: str) -> None:
        self.text = text
        self.why = why
        super().__init__(f"{_shown(text)} is not a package id: {why}")


class InvalidPackage(NugetproxyError):
    """A file that is not a package we accept; says which rule it breaks."""


class TooLarge(NugetproxyError):
    """Over a size limit. `limit` is in bytes."""

    def __init__(self, what: str, limit: int) -> None:
        self.what = what
        self.limit = limit
        super().__init__(f"{what} is larger than the limit of {limit} bytes")


class TooMany(NugetproxyError):
    """More of something at once than a limit allows. `retry_after` is in seconds, None when nothing is known."""

    def __init__(self, what: str, limit: int, retry_after: float | None = None) -> None:
        self.what = what
        self.limit = limit
        self.retry_after = retry_after
        super().__init__(f"too many {what}: the limit is {limit}")


class Busy(NugetproxyError):
    """More work of one kind is waiting than we queue; a moment later it may be done. `what` names the kind."""

    def __init__(self, what: str, retry_after: float | None = None) -> None:
        self.what = what
        self.retry_after = retry_after
        super().__init__(f"the server is busy: too many requests are waiting ({what}); try again in a few seconds")


# --- not allowed ------------------------------------------------------------------------------------------------------


class NotAuthenticated(NugetproxyError):
    """The request has no credentials where some are needed, or its Basic credentials are wrong."""


class Forbidden(NugetproxyError):
    """Who asks is known and may not do this; or the API key is none of ours, which is told in the same way."""


class Conflict(NugetproxyError):
    """What is asked contradicts what is there already."""


class PackageExists(Conflict):
    """Versions are never replaced. The words are nuget.org's: scripts look for them (push, status 409)."""

    def __init__(self, package_id: str, version: str, sentence: str = "already exists and cannot be modified.") -> None:
        self.package_id = package_id
        self.version = version
        super().__init__(f"A package with ID {_shown(package_id)} and version {_shown(version)} {sentence}")


class VersionBurnt(PackageExists):
    """The version was deleted for good, and its name is as taken as if it were there: whoever restored it once must not
    get other bytes under it. In words of its own, because one that "already exists" would be looked for.
    """

    def __init__(self, package_id: str, version: str) -> None:
        super().__init__(
            package_id,
            version,
            "was deleted, and its name is kept from other bytes. An administrator frees it: "
            f"nugetproxy package delete {package_id} {version} --allow-reuse",
        )


class IdReserved(Conflict):
    """A new id below a prefix that is reserved for others. The words are nuget.org's, with the prefix named."""

    def __init__(self, package_id: str, pattern: str) -> None:
        self.package_id = package_id
        self.pattern = pattern
        super().__init__(
            "This package ID has been reserved. Please request access to upload to this reserved namespace from the "
            f"owner of the reserved prefix {_shown(pattern)}, or re-upload the package with a different ID."
        )


# --- not there --------------------------------------------------------------------------------------------------------


class PackageNotFound(NugetproxyError):
    """This feed does not know the id; another feed may."""

    def __init__(self, package_id: str, why: str = "") -> None:
        self.package_id = package_id
        super().__init__(f"package {_shown(package_id)} does not exist here" + (f": {why}" if why else ""))


class NotMirrored(PackageNotFound):
    """Offline mode, and we never fetched it. For clients the same as an unknown id, but the sentence tells why."""

    def __init__(self, what: str) -> None:
        NugetproxyError.__init__(self, f"{_shown(what)} is not in this mirror, and it is offline")
        self.package_id = what


class VersionNotFound(NugetproxyError):
    """The feed owns the id and lacks this version: no other feed is asked. `version` is empty when all were deleted."""

    def __init__(self, package_id: str, version: str = "", why: str = "") -> None:
        self.package_id = package_id
        self.version = version
        lacks = f"has no version {_shown(version)}" if version else "has no versions any more: all of them were deleted"
        super().__init__(f"package {_shown(package_id)} {lacks}" + (f": {why}" if why else ""))


class PartNotFound(NugetproxyError):
    """The version exists and has no such part (readme, icon, licence)."""

    def __init__(self, package_id: str, version: str, part: str) -> None:
        self.package_id = package_id
        self.version = version
        self.part = part
        super().__init__(f"package {_shown(package_id)} {_shown(version)} has no {part}")


class DocumentNotFound(NugetproxyError):
    """A document of ours that does not exist (an unknown vulnerability page, certificate or registration page)."""


class DocumentAbsent(NugetproxyError):
    """The upstream said, definitely, that a URL does not exist. Translated into one of these before it reaches web."""

    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__(f"the upstream has no {url}")


class AccountNotFound(NugetproxyError):
    """No user or organisation (`what` says which was wanted) has this name. `nearest` is the most alike, or empty."""

    def __init__(self, name: str, nearest: str = "", what: str = "user or organisation") -> None:
        self.name = name
        self.nearest = nearest
        super().__init__(
            f"there is no {what} {_shown(name)}" + (f"; did you mean {_shown(nearest)}?" if nearest else "")
        )


class ApiKeyNotFound(NugetproxyError):
    """No API key has this id or name. Never raised for the text of a key: that is a secret."""

    def __init__(self, key: str, why: str = "") -> None:
        self.key = key
        super().__init__(f"there is no API key {_shown(key)}" + (f": {why}" if why else ""))


# --- the upstream's fault: never "not found" --------------------------------------------------------------------------


class UpstreamError(NugetproxyError):
    """The upstream could not be used. `retry_after` is in seconds, None when nothing is known.

    `remedy` is what the operator may check or change, empty when nothing is known. It is not in the sentence: clients
    read that, and can do nothing about the upstream.
    """

    def __init__(self, upstream: str, why: str, retry_after: float | None = None, *, remedy: str = "") -> None:
        self.upstream = upstream
        self.why = why
        self.retry_after = retry_after
        self.remedy = remedy
        super().__init__(f"upstream {upstream} {self.verdict}: {why}")

    verdict = "failed"


class UpstreamUnavailable(UpstreamError):
    """Down, refusing, resetting, 5xx, 429, or its breaker is open: the answer is not known now."""

    verdict = "is unavailable"


class UpstreamTimeout(UpstreamError):
    """No answer within the time we wait."""

    verdict = "did not answer in time"


class UpstreamNonsense(UpstreamError):
    """An unreadable answer, bytes that fail their checks, or an address that must not be used."""

    verdict = "sent an invalid answer"


class UnreadableDocument(NugetproxyError):
    """Bytes that a protocol reader could not understand. Translated into UpstreamNonsense where the bytes came from."""

    def __init__(self, what: str, why: str) -> None:
        self.what = what
        self.why = why
        super().__init__(f"unreadable {what}: {why}")


class EmptyDocument(UnreadableDocument):
    """A document that says that nothing is there. Where clients take that for "does not exist", it is remembered so."""

    def __init__(self, what: str) -> None:
        super().__init__(what, "it is empty")


# --- our fault --------------------------------------------------------------------------------------------------------


class StorageUnavailable(NugetproxyError):
    """Our own disk or database failed (full, read-only, gone)."""


class DocumentTooLarge(NugetproxyError):
    """What was asked for is larger than what we render; cut short it would look whole. `limit` is in bytes."""

    def __init__(self, what: str, limit: int) -> None:
        self.what = what
        self.limit = limit
        super().__init__(f"{what} is larger than the {limit} bytes that are rendered at most")


class DataOfAnotherVersion(StorageUnavailable):
    """A database was written by another version of nugetproxy. The sentence says which, and what to use."""


class ProcessLost(NugetproxyError):
    """A process of ours that was at work ended, or did not come to an end. `what` is the kind of work."""

    def __init__(self, what: str, why: str) -> None:
        self.what = what
        self.why = why
        super().__init__(f"the work ({what}) could not be done: {why}; the server's log tells more")


class ConfigError(NugetproxyError):
    """The settings cannot be used. Lists all problems at once, each with its key; start-up only."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def _shown(text: str) -> str:
    """Text of a stranger, made fit for one line of a message: short, printable, quoted."""
    cut = text if len(text) <= 100 else text[:97] + "..."
    return "'" + "".join(c if c.isprintable() else "?" for c in cut) + "'"

"""nugetproxy trusted-publishing: which builds get keys without a stored secret."""

from typing import TYPE_CHECKING, Any

import click

from nugetproxy.cli.managing import manage, managing_options
from nugetproxy.cli.output import iso, note, print_json, print_table, report

if TYPE_CHECKING:
    from nugetproxy.accounts.trusted_publishing.policy import PublishingPolicy, Source
    from nugetproxy.cli.managed import Managed


@click.group("trusted-publishing")
def trusted_publishing() -> None:
    """Keys for builds without a stored secret.

    A build exchanges the identity that its platform signs for a key of one hour.
    """


@trusted_publishing.command("add")
@click.argument("name")
@click.option("--owner", required=True, metavar="USER_OR_ORG", help="The account that the keys act for.")
@click.option("--by", "member", metavar="USER",
              help="The member of the organisation whose policy it is: builds name this user, and the policy ends with "
              "the membership. Without it builds name the owner.")  # fmt: skip
@click.option("--github", metavar="OWNER/REPOSITORY", help="Builds of a repository on GitHub; needs --workflow.")
@click.option("--workflow", metavar="FILE", default="", help="The workflow file that publishes, such as release.yml.")
@click.option("--gitlab", metavar="NAMESPACE/PROJECT",
              help="Builds of a project on GitLab; needs --ref or --environment.")  # fmt: skip
@click.option("--environment", metavar="NAME", default="", help="Only builds in this environment.")
@click.option(
    "--ref", metavar="REF", default="", help="Only builds of this full ref, such as refs/heads/main or refs/tags/v*."
)
@click.option("--issuer", metavar="URL", default="",
              help="The issuer of the tokens: a GitHub or GitLab of your own, or another with --claim.")  # fmt: skip
@click.option("--claim", "claims", multiple=True, metavar="NAME=VALUE",
              help="A claim that tokens of another issuer must have. Repeatable; all must be met.")  # fmt: skip
@click.option("--glob", "globs", multiple=True, metavar="PATTERN",
              help="The package ids that the keys cover, such as 'Contoso.*'. Repeatable.  [default: *]")  # fmt: skip
@managing_options
def add(
    name: str, owner: str, member: str | None, github: str | None, workflow: str, gitlab: str | None, environment: str,
    ref: str, issuer: str, claims: tuple[str, ...], globs: tuple[str, ...], as_json: bool, **options: object,
) -> None:  # fmt: skip
    """Trust the builds of a repository, a project, or another issuer.

    The first build must come within 7 days. It pins the numeric ids of the repository and its owner, so that nobody
    gets keys who later takes over the name.
    """

    async def work(managed: "Managed") -> "PublishingPolicy":
        from nugetproxy.accounts.model import AccountKind
        from nugetproxy.accounts.trusted_publishing.acts import Policies

        source = _source(github, workflow, gitlab, environment, ref, issuer, claims)
        account = await managed.directory.account(owner)
        creator = await managed.directory.account(member, AccountKind.USER) if member else None
        policies = Policies(managed.database, managed.revisions)
        return await policies.add(name, source, account, creator, globs or ("*",), by=managed.by)

    made = manage(options, work)
    told = f"Builds of {made.source} get keys for {made.owner.name} ({' '.join(made.globs)})."
    report(as_json, _shown(made), f"Created trusted publishing policy {made.name}. {told}")
    if not as_json:
        note(f"builds send the user name {made.user.name}; see docs/accounts.md for the workflow")


@trusted_publishing.command("list")
@managing_options
def list_policies(as_json: bool, **options: object) -> None:
    """List the policies."""

    async def work(managed: "Managed") -> "tuple[PublishingPolicy, ...]":
        from nugetproxy.accounts.trusted_publishing.acts import Policies

        return await Policies(managed.database, managed.revisions).all()

    policies = manage(options, work, reading=True)
    if as_json:
        print_json([_shown(each) for each in policies])
        return
    rows = [
        (each.name, each.owner.name, each.user.name, str(each.source), " ".join(each.globs),
         _state(each), iso(each.last_used) or "never")
        for each in policies
    ]  # fmt: skip
    heads = ("NAME", "OWNER", "USER", "TRUSTS", "GLOBS", "STATE", "LAST USED")
    print_table(heads, rows, "There are no trusted publishing policies.")


@trusted_publishing.command("remove")
@click.argument("name")
@managing_options
def remove(name: str, as_json: bool, **options: object) -> None:
    """Remove a policy. Keys that were created under it stop working."""

    async def work(managed: "Managed") -> list[str]:
        from nugetproxy.accounts.trusted_publishing.acts import Policies

        ended = await Policies(managed.database, managed.revisions).remove(name, by=managed.by)
        return [each.key_id for each in ended]

    ended = manage(options, work)
    more = f" Revoked {len(ended)} key(s)." if ended else ""
    report(as_json, {"name": name, "revoked": ended}, f"Removed trusted publishing policy {name}.{more}")


def _source(
    github: str | None, workflow: str, gitlab: str | None, environment: str, ref: str, issuer: str,
    claims: tuple[str, ...],
) -> "Source":  # fmt: skip
    """Raises InvalidRequest."""
    from nugetproxy.accounts.trusted_publishing import policy
    from nugetproxy.errors import InvalidRequest

    if sum(map(bool, (github, gitlab, claims))) != 1:
        raise InvalidRequest("say which builds: --github, --gitlab, or --issuer with --claim")
    if github:
        if not workflow:
            raise InvalidRequest("--github needs --workflow: otherwise every workflow of the repository could publish")
        return policy.github(github, workflow, environment, ref, issuer)
    if workflow:
        raise InvalidRequest("--workflow belongs to --github")
    if gitlab:
        return policy.gitlab(gitlab, ref, environment, issuer)
    if environment or ref:
        raise InvalidRequest("with --issuer, name environment and ref as claims: --claim environment=production")
    wanted: dict[str, str] = {}
    for each in claims:
        claim, equals, value = each.partition("=")
        if not equals or claim in wanted:
            raise InvalidRequest(f"--claim {each}: expected NAME=VALUE, each name once")
        wanted[claim] = value
    return policy.any_issuer(issuer, wanted)


def _state(each: "PublishingPolicy") -> str:
    from nugetproxy.accounts.model import now_us

    if (until := each.waits_until) is None:
        return "active"
    return f"waits for its first build until {iso(until)}" if now_us() < until else "not used in time"


def _shown(each: "PublishingPolicy") -> dict[str, Any]:
    return {
        "name": each.name,
        "owner": each.owner.name,
        "user": each.user.name,
        "platform": each.source.platform.value,
        "issuer": each.source.issuer,
        "conditions": dict(each.source.conditions),
        "pinned": dict(each.pinned),
        "first_use_until": iso(each.waits_until),
        "globs": list(each.globs),
        "created": iso(each.created),
        "last_used": iso(each.last_used),
    }

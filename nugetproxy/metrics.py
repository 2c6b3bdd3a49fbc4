"""All Prometheus metrics, each declared once.

Importing this module binds the metrics to the directory named by PROMETHEUS_MULTIPROC_DIR, so only worker processes
import it, after the supervisor has emptied that directory. The label values come from the core (see
`httpcache.outcome`); this module makes no decisions. docs/operations.md lists every metric; a test compares the two.
"""

from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram

DURATION_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

# --- our clients ---

REQUESTS = Counter(
    "nugetproxy_requests_total",
    "Requests answered, by resource, outcome (hit, refreshed, stale, miss, absent, failed, refused, own) and status.",
    ["resource", "outcome", "status"],
)
REQUEST_SECONDS = Histogram(
    "nugetproxy_request_duration_seconds",
    "Seconds from the request head to the end of the response.",
    ["resource"],
    buckets=DURATION_BUCKETS,
)
BYTES_OUT = Counter("nugetproxy_response_bytes_total", "Body bytes sent to clients.", ["resource"])
CONNECTIONS = Gauge("nugetproxy_open_connections", "Open client connections.", multiprocess_mode="livesum")
CONNECTIONS_REFUSED = Counter(
    "nugetproxy_connections_refused_total",
    "Client connections closed by the server, by reason (limit, address_limit, header_timeout, idle, stall).",
    ["reason"],
)

HOT_LOOKUPS = Counter(
    "nugetproxy_hot_lookups_total",
    "Lookups of GET and HEAD requests in the hot table, by where the answer was found (memory, disk, none).",
    ["found"],
)

# --- upstream ---

UPSTREAM_REQUESTS = Counter(
    "nugetproxy_upstream_requests_total",
    "Requests sent to an upstream, by result (2xx, 304, 404, 429, 4xx, 5xx, timeout, connect, broken, nonsense).",
    ["upstream", "result"],
)
UPSTREAM_SECONDS = Histogram(
    "nugetproxy_upstream_head_seconds",
    "Seconds until the head of the upstream's response.",
    ["upstream"],
    buckets=DURATION_BUCKETS,
)
UPSTREAM_BYTES = Counter("nugetproxy_upstream_bytes_total", "Body bytes received from an upstream.", ["upstream"])
UPSTREAM_RESUMED = Counter(
    "nugetproxy_upstream_resumed_total", "Interrupted downloads resumed with Range.", ["upstream"]
)
UPSTREAM_HELD_BACK = Counter(
    "nugetproxy_upstream_held_back_total",
    "Requests not sent to an upstream because it had asked us to wait (429, or 503 with Retry-After).",
    ["upstream"],
)
BREAKER_OPEN = Gauge(
    "nugetproxy_upstream_breaker_open",
    "1 while an upstream is considered down and only probed.",
    ["upstream"],
    multiprocess_mode="livemax",
)
CONTENT_REJECTED = Counter(
    "nugetproxy_content_rejected_total",
    "Packages received from an upstream that failed a check and were not kept, by check "
    "(length, hash, signature, archive, identity, symbols).",
    ["upstream", "check"],
)
SYMBOLS_FETCHED = Counter(
    "nugetproxy_symbols_fetched_total",
    "Requests to an upstream's symbol server for a PDB, by result (fetched, absent, failed).",
    ["upstream", "result"],
)
COALESCED = Counter(
    "nugetproxy_coalesced_total", "Requests that joined an upstream fetch, by kind (document, content).", ["kind"]
)

SHARED_PACKAGES = Counter(
    "nugetproxy_shared_packages_total", "Mirrored packages read from the bucket instead of from an upstream."
)

SHARED_PDBS = Counter("nugetproxy_shared_pdbs_total", "PDBs read from the bucket instead of from a symbol server.")

BUCKET_REQUESTS = Counter(
    "nugetproxy_bucket_requests_total",
    "Requests to the bucket, by kind (look, read, write, delete, list) and result (ok, absent, error, unsent).",
    ["kind", "result"],
)
BUCKET_SECONDS = Histogram(
    "nugetproxy_bucket_request_seconds",
    "Seconds that a request to the bucket took, with its repetitions, by kind as above.",
    ["kind"],
    buckets=DURATION_BUCKETS,
)
NODE_CACHE_HITS = Counter(
    "nugetproxy_node_cache_hits_total", "Blobs that were found on this node's disk, other than by the hot table."
)
NODE_CACHE_MISSES = Counter(
    "nugetproxy_node_cache_misses_total",
    "Blobs that were not on this node's disk, by what followed (brought, passed_on).",
    ["then"],
)

# --- foresight ---

FORESIGHT_FETCHED = Counter(
    "nugetproxy_foresight_fetched_total",
    "Fetched from an upstream before a client asked for it, by kind (versions, package).",
    ["kind"],
)
FORESIGHT_USED = Counter(
    "nugetproxy_foresight_used_total",
    "Fetched ahead, and asked for by a client of the same worker afterwards, by kind (versions, package).",
    ["kind"],
)
FORESIGHT_WASTED_BYTES = Counter(
    "nugetproxy_foresight_wasted_bytes_total",
    "Bytes of packages fetched ahead that no client of the same worker asked for within two minutes.",
)

# --- the catalog ---

CATALOG_POLLS = Counter(
    "nugetproxy_catalog_polls_total",
    "Polls of an upstream's catalog, by result (changed, unchanged, behind, failed).",
    ["upstream", "result"],
)
CATALOG_LAG = Gauge(
    "nugetproxy_catalog_lag_seconds",
    "Seconds since an upstream's catalog was last read to its end.",
    ["upstream"],
    multiprocess_mode="livemostrecent",
)
CATALOG_ITEMS = Counter(
    "nugetproxy_catalog_items_total", "Events read from a catalog, by kind (details, delete).", ["upstream", "kind"]
)
CATALOG_EXPIRED = Counter(
    "nugetproxy_catalog_expired_total", "Stored documents that an event of a catalog expired.", ["upstream"]
)
CATALOG_CONFLICTS = Counter(
    "nugetproxy_catalog_conflicts_total",
    "Stored packages for which a catalog states another hash or size.",
    ["upstream"],
)

# --- storage ---

STORE_FAILURES = Counter(
    "nugetproxy_store_failures_total",
    "Responses that were served but could not be stored, by store (documents, content).",
    ["store"],
)
STORED_BYTES = Gauge(
    "nugetproxy_stored_bytes",
    "Bytes kept on disk, by store (documents, content).",
    ["store"],
    multiprocess_mode="livemostrecent",
)
STORED_PACKAGES = Gauge("nugetproxy_stored_packages", "Packages kept on disk.", multiprocess_mode="livemostrecent")
BUNDLE_CREATED = Gauge(
    "nugetproxy_bundle_created_timestamp_seconds",
    "When the newest bundle that was imported was created, in unix time; 0 if none was.",
    multiprocess_mode="livemostrecent",
)
UNMET_REQUESTS = Counter(
    "nugetproxy_unmet_requests_total",
    "Requests about packages that are not kept and could not be fetched: offline, or the upstream failed.",
)
QUARANTINED = Counter(
    "nugetproxy_mirror_quarantined_total",
    "Kept packages that were found to be damaged or changed, and moved to quarantine.",
    ["upstream"],
)
MIRROR_VERIFIED = Counter(
    "nugetproxy_mirror_verified_total",
    "Kept packages read again by the monthly verification, by result (right, damaged, differing).",
    ["result"],
)
MIRROR_BUDGET = Gauge(
    "nugetproxy_mirror_budget_bytes",
    "Bytes that mirrored packages may take (mirroring.budget); 0 means no limit.",
    multiprocess_mode="livemostrecent",
)
MIRROR_DAYS_UNTIL_FULL = Gauge(
    "nugetproxy_mirror_days_until_full",
    "Days until only the reserve of the disk is left, at the rate of the last week; +Inf if that will not happen.",
    multiprocess_mode="livemostrecent",
)
EVICTED_PACKAGES = Counter(
    "nugetproxy_mirror_evicted_packages_total", "Mirrored packages evicted to stay within the budget.", ["upstream"]
)
EVICTED_BYTES = Counter("nugetproxy_mirror_evicted_bytes_total", "Bytes of the evicted packages.", ["upstream"])
BUCKET_BUDGET = Gauge(
    "nugetproxy_bucket_mirror_budget_bytes",
    "Bytes that mirrored packages may take in the bucket (storage.shared.mirror_budget); 0 means no limit. On the node "
    "that keeps the budget.",
    multiprocess_mode="livemostrecent",
)
BUCKET_BYTES = Gauge(
    "nugetproxy_bucket_mirror_bytes",
    "Bytes of the mirrored packages in the bucket. On the node that keeps the budget.",
    multiprocess_mode="livemostrecent",
)
BUCKET_PACKAGES = Gauge(
    "nugetproxy_bucket_mirror_packages",
    "Mirrored packages in the bucket. On the node that keeps the budget.",
    multiprocess_mode="livemostrecent",
)
BUCKET_EVICTED = Counter(
    "nugetproxy_bucket_evicted_packages_total",
    "Mirrored packages removed from the bucket to stay within its budget.",
    ["upstream"],
)
BUCKET_EVICTED_BYTES = Counter(
    "nugetproxy_bucket_evicted_bytes_total", "Bytes of the packages removed from the bucket.", ["upstream"]
)
DISK_FREE = Gauge(
    "nugetproxy_disk_free_bytes",
    "Free bytes on the file system of the data directory.",
    multiprocess_mode="livemostrecent",
)
DISK_RESERVE = Gauge(
    "nugetproxy_disk_reserve_bytes",
    "Free bytes that mirrored content leaves to pushes and databases (storage.reserve).",
    multiprocess_mode="livemostrecent",
)
VULNERABILITY_AGE = Gauge(
    "nugetproxy_vulnerability_data_age_seconds",
    "Seconds since the oldest kept vulnerability document was last confirmed by its upstream.",
    multiprocess_mode="livemax",
)

ADVISORIES = Gauge(
    "nugetproxy_advisories", "Advisories of our own that are in effect.", multiprocess_mode="livemostrecent"
)
ADVISORIES_UNREADABLE = Gauge(
    "nugetproxy_advisories_unreadable",
    "1 while a file of feed.advisories cannot be read, so that earlier content is in effect.",
    multiprocess_mode="livemax",
)

# --- the private feed ---

RETIRED = Counter(
    "nugetproxy_retired_total",
    "Pushed versions that rules of hosting.retention have retired, by action (unlist, delete).",
    ["action"],
)

PROTECTED_ATTEMPTS = Counter(
    "nugetproxy_protected_attempts_total",
    "Requests about ids under protected prefixes that are not hosted here; no upstream was asked.",
)
POLICY_REFUSED = Counter(
    "nugetproxy_policy_refused_total", "Downloads refused by a rule of the policy, by rule.", ["rule"]
)
POLICY_HIDDEN = Counter(
    "nugetproxy_policy_hidden_total", "Versions left out of a list by a rule of the policy, by rule.", ["rule"]
)
POLICY_WARNED = Counter(
    "nugetproxy_policy_warned_total", 'Versions that a rule of mode "warn" would withhold, by rule.', ["rule"]
)
PROTECTED_APPEARED = Counter(
    "nugetproxy_protected_appeared_total",
    "Ids under protected prefixes that an upstream named in its answers; they were hidden.",
)
LOGINS_FAILED = Counter(
    "nugetproxy_logins_failed_total", "Logins with wrong credentials, by kind (key, password, token).", ["kind"]
)

# --- this server ---

LOOP_LAG = Histogram(
    "nugetproxy_loop_lag_seconds",
    "Seconds by which the event loop of a worker was late, measured ten times a second.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)

BUILD = Gauge(
    "nugetproxy_build_info", "Always 1; the version is in the label.", ["version"], multiprocess_mode="livemax"
)

# --- several nodes ---

DATABASE_STATEMENT_SECONDS = Histogram(
    "nugetproxy_database_statement_seconds",
    "Seconds until PostgreSQL answered one statement, or did not.",
    buckets=DURATION_BUCKETS,
)
DATABASE_WRITE_SECONDS = Histogram(
    "nugetproxy_database_write_seconds",
    "Seconds that a write to PostgreSQL took: all of its statements, its commit and its repetitions.",
    buckets=DURATION_BUCKETS,
)
DATABASE_REPEATED = Counter(
    "nugetproxy_database_repeated_total",
    "Writes to PostgreSQL that were repeated, by reason (conflict with another write, lost connection).",
    ["reason"],
)
ENGINE_UNREACHABLE = Gauge(
    "nugetproxy_engine_unreachable",
    "1 while this node cannot reach a shared engine, by engine (postgresql, bucket).",
    ["engine"],
    multiprocess_mode="livemax",
)
FLEET_STANDING = Gauge(
    "nugetproxy_fleet_standing",
    "1 for the state of this node in its fleet, 0 for the others, by state (confirmed, remembering, asking, alone).",
    ["state"],
    multiprocess_mode="livemostrecent",
)
FLEET_JOB_HELD = Gauge(
    "nugetproxy_fleet_job_held",
    "1 while this node does a job for the whole fleet, by name.",
    ["name"],
    multiprocess_mode="livemax",
)
FLEET_CHANGES_LOST = Counter(
    "nugetproxy_fleet_changes_lost_total",
    "Times that the database lacked changes that this node had seen: a failover or a restore lost the last commits.",
)

FLEET_CONFIRMATIONS = Counter(
    "nugetproxy_fleet_confirmations_total",
    "Attempts of this node to confirm the changes of its fleet, by result (accepted, failed).",
    ["result"],
)
FLEET_WAIT_SECONDS = Histogram(
    "nugetproxy_fleet_wait_seconds",
    "Seconds that a change waited until all nodes of the fleet had confirmed it.",
    buckets=DURATION_BUCKETS,
)
FLEET_GIVEN_UP = Counter(
    "nugetproxy_fleet_nodes_given_up_total", "Nodes that a change of this node did not wait for any longer."
)
FLEET_LEASES_LOST = Counter(
    "nugetproxy_fleet_leases_lost_total", "Leases of this node that could not be renewed in time."
)


def begin_at_zero(upstreams: Iterable[str]) -> None:
    """Export counters of rare events with 0 before the first event.

    A series that first appears with 1 has not increased for Prometheus, so an alert would miss the first event.
    """
    for store in ("documents", "content"):
        STORE_FAILURES.labels(store)
    for result in ("right", "damaged", "differing"):
        MIRROR_VERIFIED.labels(result)
    for kind in ("document", "content"):
        COALESCED.labels(kind)
    for ahead in ("versions", "package"):
        FORESIGHT_FETCHED.labels(ahead)
        FORESIGHT_USED.labels(ahead)
    for reason in ("limit", "address_limit", "header_timeout", "idle", "stall"):
        CONNECTIONS_REFUSED.labels(reason)
    for credentials in ("key", "password", "token"):
        LOGINS_FAILED.labels(credentials)
    for upstream in upstreams:
        UPSTREAM_RESUMED.labels(upstream)
        QUARANTINED.labels(upstream)
        EVICTED_PACKAGES.labels(upstream)
        EVICTED_BYTES.labels(upstream)
        CATALOG_EXPIRED.labels(upstream)
        CATALOG_CONFLICTS.labels(upstream)
        for result in ("changed", "unchanged", "behind", "failed"):
            CATALOG_POLLS.labels(upstream, result)
        for check in ("length", "hash", "signature", "archive", "identity"):
            CONTENT_REJECTED.labels(upstream, check)

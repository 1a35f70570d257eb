/** Forward only: a migration that has shipped is never edited; a change is a new entry at the end. */
export const migrations: readonly string[] = [
  `
  CREATE TABLE accounts (
    id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE COLLATE NOCASE, name TEXT, admin INTEGER NOT NULL DEFAULT 0 CHECK (admin IN (0, 1)),
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, last_login INTEGER
  ) STRICT;

  CREATE TABLE authorizations (
    id TEXT PRIMARY KEY, account_id TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE, description TEXT NOT NULL,
    token_hash TEXT NOT NULL UNIQUE, token_hint TEXT NOT NULL, scope TEXT NOT NULL, expires_at INTEGER,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE apps (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, owner_id TEXT NOT NULL REFERENCES accounts, stack TEXT NOT NULL,
    maintenance INTEGER NOT NULL DEFAULT 0 CHECK (maintenance IN (0, 1)), network INTEGER NOT NULL UNIQUE,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, destroyed_at INTEGER
  ) STRICT;
  CREATE UNIQUE INDEX apps_name ON apps (name) WHERE destroyed_at IS NULL;

  CREATE TABLE collaborators (
    id TEXT PRIMARY KEY, app_id TEXT NOT NULL REFERENCES apps ON DELETE CASCADE, account_id TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('owner', 'collaborator')), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    UNIQUE (app_id, account_id)
  ) STRICT;

  CREATE TABLE buildpack_installations (
    app_id TEXT NOT NULL REFERENCES apps ON DELETE CASCADE, ordinal INTEGER NOT NULL, url TEXT NOT NULL, PRIMARY KEY (app_id, ordinal)
  ) STRICT;

  CREATE TABLE slugs (
    id TEXT PRIMARY KEY, app_id TEXT NOT NULL REFERENCES apps ON DELETE CASCADE, key TEXT NOT NULL, "commit" TEXT, checksum TEXT NOT NULL,
    size INTEGER NOT NULL, process_types TEXT NOT NULL, buildpack_description TEXT NOT NULL, stack TEXT NOT NULL, created_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX slugs_app_key ON slugs (app_id, key);

  CREATE TABLE releases (
    id TEXT PRIMARY KEY, app_id TEXT NOT NULL REFERENCES apps ON DELETE CASCADE, version INTEGER NOT NULL, description TEXT NOT NULL,
    slug_id TEXT REFERENCES slugs, config TEXT NOT NULL, account_id TEXT NOT NULL REFERENCES accounts, created_at INTEGER NOT NULL,
    UNIQUE (app_id, version)
  ) STRICT;

  CREATE TABLE builds (
    id TEXT PRIMARY KEY, app_id TEXT NOT NULL REFERENCES apps ON DELETE CASCADE, account_id TEXT NOT NULL REFERENCES accounts,
    status TEXT NOT NULL CHECK (status IN ('pending', 'succeeded', 'failed')), version TEXT, stack TEXT NOT NULL, buildpacks TEXT NOT NULL,
    slug_id TEXT REFERENCES slugs, release_id TEXT REFERENCES releases, failure TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX builds_one_pending ON builds (app_id) WHERE status = 'pending';

  CREATE TABLE rollouts (
    release_id TEXT PRIMARY KEY REFERENCES releases ON DELETE CASCADE, app_id TEXT NOT NULL REFERENCES apps ON DELETE CASCADE, version INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'phase', 'booting', 'cutover', 'succeeded', 'failed')),
    attended INTEGER NOT NULL CHECK (attended IN (0, 1)), reason TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX rollouts_app ON rollouts (app_id, version);

  CREATE TABLE formation (
    id TEXT PRIMARY KEY, app_id TEXT NOT NULL REFERENCES apps ON DELETE CASCADE, type TEXT NOT NULL, quantity INTEGER NOT NULL CHECK (quantity >= 0),
    size TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, UNIQUE (app_id, type)
  ) STRICT;

  CREATE TABLE dynos (
    id TEXT PRIMARY KEY, app_id TEXT NOT NULL REFERENCES apps ON DELETE CASCADE, release_id TEXT NOT NULL REFERENCES releases, type TEXT NOT NULL,
    ordinal INTEGER NOT NULL, size TEXT NOT NULL, command TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('starting', 'up', 'draining', 'stopping', 'crashed', 'down')),
    "replace" INTEGER NOT NULL DEFAULT 0 CHECK ("replace" IN (0, 1)), crashes INTEGER NOT NULL DEFAULT 0, retry_at INTEGER, exit_code INTEGER,
    address TEXT, port INTEGER NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX dynos_app ON dynos (app_id);

  CREATE TABLE domains (
    id TEXT PRIMARY KEY, app_id TEXT NOT NULL REFERENCES apps ON DELETE CASCADE, hostname TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
  ) STRICT;
  `,
  `
  ALTER TABLE dynos ADD COLUMN one_off TEXT;

  CREATE TABLE log_drains (
    id TEXT PRIMARY KEY, app_id TEXT NOT NULL REFERENCES apps ON DELETE CASCADE, token TEXT NOT NULL UNIQUE, url TEXT NOT NULL,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX log_drains_app ON log_drains (app_id);
  `,
  // activities
  `
  CREATE TABLE activities (
    id INTEGER PRIMARY KEY AUTOINCREMENT, app_id TEXT, account_id TEXT NOT NULL, email TEXT NOT NULL, origin TEXT, text TEXT NOT NULL,
    created_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX activities_app ON activities (app_id, id);
  `,
  // accounts: passwords, invitations, sessions, clients, keys
  `
  ALTER TABLE accounts ADD COLUMN allow_tracking INTEGER NOT NULL DEFAULT 0 CHECK (allow_tracking IN (0, 1));
  ALTER TABLE accounts ADD COLUMN beta INTEGER NOT NULL DEFAULT 0 CHECK (beta IN (0, 1));
  ALTER TABLE accounts ADD COLUMN removed_at INTEGER;

  CREATE TABLE passwords (
    account_id TEXT PRIMARY KEY REFERENCES accounts ON DELETE CASCADE, hash TEXT NOT NULL, updated_at INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE invitations (
    id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE COLLATE NOCASE, role TEXT NOT NULL CHECK (role IN ('admin', 'member')),
    account_id TEXT REFERENCES accounts ON DELETE CASCADE, token_hash TEXT NOT NULL UNIQUE, invited_by TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
    expires_at INTEGER NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE sessions (
    id TEXT PRIMARY KEY, account_id TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE, description TEXT NOT NULL, expires_at INTEGER,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX sessions_account ON sessions (account_id);

  CREATE TABLE clients (
    id TEXT PRIMARY KEY, account_id TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE, name TEXT NOT NULL, redirect_uri TEXT NOT NULL,
    secret_hash TEXT NOT NULL UNIQUE, secret_hint TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX clients_account ON clients (account_id);

  ALTER TABLE authorizations ADD COLUMN session_id TEXT REFERENCES sessions ON DELETE CASCADE;
  ALTER TABLE authorizations ADD COLUMN client_id TEXT REFERENCES clients ON DELETE CASCADE;
  ALTER TABLE authorizations ADD COLUMN refresh_hash TEXT;
  CREATE UNIQUE INDEX authorizations_refresh ON authorizations (refresh_hash);
  CREATE INDEX authorizations_account ON authorizations (account_id);
  CREATE INDEX authorizations_session ON authorizations (session_id);
  CREATE INDEX authorizations_client ON authorizations (client_id);

  CREATE TABLE grants (
    id TEXT PRIMARY KEY, authorization_id TEXT NOT NULL UNIQUE REFERENCES authorizations ON DELETE CASCADE, code_hash TEXT NOT NULL UNIQUE,
    expires_at INTEGER NOT NULL, used_at INTEGER
  ) STRICT;

  CREATE TABLE keys (
    id TEXT PRIMARY KEY, account_id TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE, public_key TEXT NOT NULL, comment TEXT NOT NULL,
    fingerprint TEXT NOT NULL UNIQUE, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX keys_account ON keys (account_id);
  `,
  // the team: team apps, permissions, transfers
  `
  INSERT INTO accounts (id, email, name, admin, created_at, updated_at)
    VALUES ('5ed5a1f4-7b0c-4a6e-9c56-6d1f0a3be7a1', 'sluice@herokumanager.com', 'sluice', 0, strftime('%s') * 1000, strftime('%s') * 1000);

  ALTER TABLE apps ADD COLUMN locked INTEGER NOT NULL DEFAULT 0 CHECK (locked IN (0, 1));
  CREATE INDEX apps_owner ON apps (owner_id);

  ALTER TABLE collaborators ADD COLUMN permissions TEXT NOT NULL DEFAULT '["view","deploy","operate"]';
  CREATE INDEX collaborators_account ON collaborators (account_id, app_id);

  CREATE TABLE app_transfers (
    id TEXT PRIMARY KEY, app_id TEXT NOT NULL UNIQUE REFERENCES apps ON DELETE CASCADE, owner_id TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
    recipient_id TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE, state TEXT NOT NULL CHECK (state IN ('pending', 'accepted', 'declined')),
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX app_transfers_owner ON app_transfers (owner_id);
  CREATE INDEX app_transfers_recipient ON app_transfers (recipient_id);
  `,
  // pipelines: couplings, promotions, set-ups, review apps
  `
  CREATE TABLE pipelines (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, owner_type TEXT NOT NULL CHECK (owner_type IN ('user', 'team')),
    owner_id TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX pipelines_owner ON pipelines (owner_id);

  CREATE TABLE pipeline_couplings (
    id TEXT PRIMARY KEY, app_id TEXT NOT NULL UNIQUE REFERENCES apps ON DELETE CASCADE,
    pipeline_id TEXT NOT NULL REFERENCES pipelines ON DELETE CASCADE,
    stage TEXT NOT NULL CHECK (stage IN ('test', 'review', 'development', 'staging', 'production')),
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX pipeline_couplings_pipeline ON pipeline_couplings (pipeline_id);

  CREATE TABLE pipeline_config_vars (
    pipeline_id TEXT NOT NULL REFERENCES pipelines ON DELETE CASCADE,
    stage TEXT NOT NULL CHECK (stage IN ('test', 'review', 'development', 'staging', 'production')), config TEXT NOT NULL,
    PRIMARY KEY (pipeline_id, stage)
  ) STRICT;

  CREATE TABLE pipeline_promotions (
    id TEXT PRIMARY KEY, pipeline_id TEXT NOT NULL REFERENCES pipelines ON DELETE CASCADE, source_app_id TEXT NOT NULL,
    source_release_id TEXT NOT NULL, account_id TEXT NOT NULL, created_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX pipeline_promotions_pipeline ON pipeline_promotions (pipeline_id, created_at);

  CREATE TABLE pipeline_promotion_targets (
    id TEXT PRIMARY KEY, promotion_id TEXT NOT NULL REFERENCES pipeline_promotions ON DELETE CASCADE, app_id TEXT NOT NULL, release_id TEXT,
    status TEXT NOT NULL CHECK (status IN ('pending', 'succeeded', 'failed')), error_message TEXT, updated_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX pipeline_promotion_targets_promotion ON pipeline_promotion_targets (promotion_id);
  CREATE INDEX pipeline_promotion_targets_pending ON pipeline_promotion_targets (status) WHERE status = 'pending';

  CREATE TABLE app_setups (
    id TEXT PRIMARY KEY, app_id TEXT NOT NULL UNIQUE REFERENCES apps ON DELETE CASCADE, account_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('source', 'build', 'postdeploy', 'succeeded', 'failed')), "order" TEXT NOT NULL,
    failure_message TEXT, manifest_errors TEXT NOT NULL, postdeploy_output TEXT, postdeploy_exit_code INTEGER, success_url TEXT,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE review_apps (
    id TEXT PRIMARY KEY, pipeline_id TEXT NOT NULL REFERENCES pipelines ON DELETE CASCADE,
    app_id TEXT NOT NULL UNIQUE REFERENCES apps ON DELETE CASCADE, setup_id TEXT NOT NULL REFERENCES app_setups ON DELETE CASCADE,
    account_id TEXT NOT NULL, branch TEXT NOT NULL, pr_number INTEGER, created_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX review_apps_pipeline ON review_apps (pipeline_id);

  CREATE TABLE review_app_configs (
    pipeline_id TEXT PRIMARY KEY REFERENCES pipelines ON DELETE CASCADE, stale_days INTEGER NOT NULL,
    destroy_stale INTEGER NOT NULL CHECK (destroy_stale IN (0, 1)), base_name TEXT,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
  ) STRICT;
  `,
  // sources, builds, slugs
  `
  CREATE TABLE sources (
    id TEXT PRIMARY KEY, account_id TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE, checksum TEXT, size INTEGER,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX sources_account ON sources (account_id, created_at);

  ALTER TABLE builds ADD COLUMN source_url TEXT;
  ALTER TABLE builds ADD COLUMN source_checksum TEXT;
  ALTER TABLE builds ADD COLUMN version_description TEXT;

  ALTER TABLE slugs ADD COLUMN archive TEXT NOT NULL DEFAULT 'ready' CHECK (archive IN ('awaited', 'ready'));
  ALTER TABLE slugs ADD COLUMN commit_description TEXT;

  CREATE TABLE app_features (
    app_id TEXT NOT NULL REFERENCES apps ON DELETE CASCADE, name TEXT NOT NULL, enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, PRIMARY KEY (app_id, name)
  ) STRICT;
  `,
  // certificates and webhooks
  `
  CREATE TABLE sni_endpoints (
    id TEXT PRIMARY KEY, app_id TEXT NOT NULL REFERENCES apps ON DELETE CASCADE, name TEXT NOT NULL, certificate_id TEXT NOT NULL UNIQUE,
    certificate_chain TEXT NOT NULL, private_key TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, UNIQUE (app_id, name)
  ) STRICT;
  ALTER TABLE domains ADD COLUMN sni_endpoint_id TEXT REFERENCES sni_endpoints ON DELETE SET NULL;
  CREATE INDEX domains_sni_endpoint ON domains (sni_endpoint_id);
  CREATE INDEX domains_app ON domains (app_id);

  CREATE TABLE webhooks (
    id TEXT PRIMARY KEY, app_id TEXT NOT NULL, url TEXT NOT NULL, include TEXT NOT NULL, level TEXT NOT NULL CHECK (level IN ('notify', 'sync')),
    secret TEXT NOT NULL, authorization TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX webhooks_app ON webhooks (app_id);

  CREATE TABLE webhook_events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, app_id TEXT NOT NULL, include TEXT NOT NULL, action TEXT NOT NULL,
    actor TEXT, subject TEXT NOT NULL, previous TEXT, payload TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX webhook_events_app ON webhook_events (app_id, seq);
  CREATE INDEX webhook_events_raw ON webhook_events (seq) WHERE payload IS NULL;

  CREATE TABLE webhook_deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, webhook_id TEXT NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    event_id TEXT NOT NULL REFERENCES webhook_events (id) ON DELETE CASCADE, app_id TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'retrying', 'succeeded', 'failed')), num_attempts INTEGER NOT NULL,
    next_attempt_at INTEGER, last_attempt TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX webhook_deliveries_app ON webhook_deliveries (app_id, seq);
  CREATE INDEX webhook_deliveries_event ON webhook_deliveries (event_id);
  CREATE INDEX webhook_deliveries_open ON webhook_deliveries (webhook_id, seq) WHERE status IN ('pending', 'retrying');
  `,
  // speed and retention: an index for each way in which a table that grows is read, or looked through when what it refers to goes
  `
  CREATE INDEX rollouts_state ON rollouts (state, app_id, version);
  CREATE INDEX releases_slug ON releases (slug_id);
  CREATE INDEX builds_app ON builds (app_id, created_at, id);
  CREATE INDEX builds_slug ON builds (slug_id);
  CREATE INDEX builds_release ON builds (release_id);
  CREATE INDEX dynos_release ON dynos (release_id);
  CREATE INDEX authorizations_expiry ON authorizations (expires_at);
  CREATE INDEX activities_time ON activities (created_at);
  `,
  // receipts
  `
  CREATE TABLE receipts (
    release_id TEXT PRIMARY KEY REFERENCES releases ON DELETE CASCADE, replaced INTEGER NOT NULL, dynos INTEGER NOT NULL,
    in_flight INTEGER NOT NULL, finished INTEGER NOT NULL, cut INTEGER NOT NULL, failed INTEGER NOT NULL, took INTEGER NOT NULL,
    settled_at INTEGER, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
  ) STRICT;
  `,
  // certificates by ACME
  `
  ALTER TABLE apps ADD COLUMN acm INTEGER NOT NULL DEFAULT 0 CHECK (acm IN (0, 1));
  CREATE INDEX apps_acm ON apps (acm) WHERE acm = 1;
  ALTER TABLE sni_endpoints ADD COLUMN acm INTEGER NOT NULL DEFAULT 0 CHECK (acm IN (0, 1));

  CREATE TABLE acm_domains (
    domain_id TEXT PRIMARY KEY REFERENCES domains ON DELETE CASCADE,
    state TEXT NOT NULL CHECK (state IN ('pending', 'verifying', 'verified', 'issued', 'failing', 'failed')), reason TEXT,
    failures INTEGER NOT NULL, next_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE acme_accounts (
    directory TEXT PRIMARY KEY, private_key TEXT NOT NULL, created_at INTEGER NOT NULL
  ) STRICT;
  `,
  // images and health checks of a slug
  `
  ALTER TABLE slugs ADD COLUMN images TEXT;
  ALTER TABLE slugs ADD COLUMN checks TEXT;
  `,
  // slugs that share files; keys that were plain hashes of config vars are forgotten
  `
  ALTER TABLE slugs ADD COLUMN files TEXT NOT NULL DEFAULT '';
  UPDATE slugs SET files = CASE WHEN images IS NULL THEN id ELSE '' END, key = '';
  CREATE INDEX slugs_files ON slugs (files);
  CREATE INDEX slugs_checksum ON slugs (checksum);
  `,
  // slugs whose files are gone; images that Dockerfiles begin with, and whose newest build did
  `
  ALTER TABLE slugs ADD COLUMN deleted_at INTEGER;
  CREATE INDEX slugs_deleted ON slugs (app_id) WHERE deleted_at IS NOT NULL AND files != '';

  CREATE TABLE base_images (
    reference TEXT PRIMARY KEY, image TEXT NOT NULL, size INTEGER NOT NULL, used_at INTEGER NOT NULL, created_at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE base_image_uses (
    app_id TEXT NOT NULL REFERENCES apps ON DELETE CASCADE, reference TEXT NOT NULL REFERENCES base_images ON DELETE CASCADE,
    PRIMARY KEY (app_id, reference)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX base_image_uses_reference ON base_image_uses (reference);
  `,
  // health checks by type; a slug that is there was told that its one is asked at the start of a dyno
  `
  UPDATE slugs SET checks = json_object('web', json_object('startup', json_extract(checks, '$.web')))
    WHERE json_type(checks, '$.web.path') IS NOT NULL;
  `,
  // boot times of apps
  `
  ALTER TABLE dynos ADD COLUMN boot_time INTEGER NOT NULL DEFAULT 60000;
  `,
  // dynos by state, for who watches
  `
  CREATE INDEX dynos_state ON dynos (state, type);
  `,
  // certificates of the platform's names and of apps' own hosts; orders, by which an authority's limits are kept
  `
  ALTER TABLE acm_domains ADD COLUMN directory TEXT NOT NULL DEFAULT '';

  CREATE TABLE acm_hosts (
    hostname TEXT PRIMARY KEY, app_id TEXT REFERENCES apps ON DELETE CASCADE,
    certificate_id TEXT UNIQUE, certificate_chain TEXT, private_key TEXT, directory TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL CHECK (state IN ('pending', 'verifying', 'verified', 'issued', 'failing', 'failed')), reason TEXT,
    failures INTEGER NOT NULL, next_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX acm_hosts_app ON acm_hosts (app_id);

  CREATE TABLE acme_orders (
    id INTEGER PRIMARY KEY, directory TEXT NOT NULL, hostname TEXT NOT NULL, kind TEXT NOT NULL CHECK (kind IN ('name', 'host', 'renewal')),
    outcome TEXT NOT NULL CHECK (outcome IN ('underway', 'issued', 'failed', 'limited')), until INTEGER, created_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX acme_orders_created ON acme_orders (directory, created_at);
  `,
  // releases in whose place a later one was released
  `
  ALTER TABLE rollouts ADD COLUMN superseded_by INTEGER;
  `,
  // releases that have the code of an earlier one fall with it
  `
  ALTER TABLE releases ADD COLUMN code_version INTEGER;
  `,
  // and so do those that keep a part of it
  `
  ALTER TABLE releases ADD COLUMN keeps_version INTEGER;
  `,
]

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
  `,
  // the team: team apps, permissions, transfers
  `
  `,
  // pipelines: couplings, promotions, set-ups, review apps
  `
  `,
  // sources, builds, slugs
  `
  `,
  // certificates and webhooks
  `
  `,
  // speed and retention
  `
  `,
]

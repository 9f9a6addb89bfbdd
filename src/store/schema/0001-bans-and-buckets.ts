/** Rate-limit buckets as settled by `limits/lease-row.ts`, and bans with their history. */
export const BANS_AND_BUCKETS = `
CREATE TABLE host_epoch (
  id        INTEGER PRIMARY KEY,
  identity  TEXT NOT NULL UNIQUE  -- which start of which host monotonic times count from
) STRICT;

CREATE TABLE limit_bucket (
  key       TEXT PRIMARY KEY,
  debt      REAL NOT NULL,        -- tokens handed out and not refilled yet, at at_ms
  rate      REAL NOT NULL,        -- tokens per second that debt is refilled at
  burst     REAL NOT NULL,
  at_ms     REAL NOT NULL,        -- monotonic milliseconds within the epoch
  epoch     INTEGER NOT NULL,
  wall_ms   REAL NOT NULL,
  seq       INTEGER NOT NULL,
  wanted_ms REAL                  -- when somebody last got too little; null: never
) STRICT, WITHOUT ROWID;

CREATE TABLE ban_change (
  revision      INTEGER PRIMARY KEY AUTOINCREMENT,
  agent         TEXT NOT NULL,
  action        TEXT NOT NULL CHECK (action IN ('ban', 'unban')),
  reason        TEXT NOT NULL,
  author        TEXT NOT NULL,
  at_wall_ms    REAL NOT NULL,
  until_wall_ms REAL              -- null: until it is lifted
) STRICT;
CREATE INDEX ban_change_agent ON ban_change (agent, revision);

CREATE TABLE ban (
  agent    TEXT PRIMARY KEY,
  revision INTEGER NOT NULL REFERENCES ban_change (revision)
) STRICT, WITHOUT ROWID;
`

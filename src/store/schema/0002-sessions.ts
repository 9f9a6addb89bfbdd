/** Sticky sessions at the level of agents. */
export const SESSIONS = `
CREATE TABLE session_pin (
  agent           TEXT NOT NULL,
  session         TEXT NOT NULL,
  target          TEXT NOT NULL,  -- what of the agent the session sticks to: an endpoint or an instance
  expires_wall_ms REAL NOT NULL,
  PRIMARY KEY (agent, session)
) STRICT, WITHOUT ROWID;
CREATE INDEX session_pin_expiry ON session_pin (expires_wall_ms);
`

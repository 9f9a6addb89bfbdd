/** What a bucket owed beyond a burst that was lowered, see `limits/lease-row.ts`. */
export const DEBT_ASIDE = `
ALTER TABLE limit_bucket ADD COLUMN aside REAL NOT NULL DEFAULT 0;
`

import type { LeaseRow } from './lease-row.ts'

/** A row of `limit_bucket`, as the file has it. */
export interface StoredRow {
  readonly key: string
  readonly debt: number
  readonly rate: number
  readonly burst: number
  readonly at_ms: number
  readonly epoch: number
  readonly wall_ms: number
  readonly seq: number
  readonly wanted_ms: number | null
  readonly aside: number
}

export const COLUMNS = 'key, debt, rate, burst, at_ms, epoch, wall_ms, seq, wanted_ms, aside'

export function toRow(stored: StoredRow): LeaseRow {
  return {
    debt: stored.debt,
    aside: stored.aside,
    rate: stored.rate,
    burst: stored.burst,
    atMs: stored.at_ms,
    epoch: stored.epoch,
    wallMs: stored.wall_ms,
    seq: stored.seq,
    wantedMs: stored.wanted_ms ?? Number.NEGATIVE_INFINITY,
  }
}

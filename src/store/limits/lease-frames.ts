/*
 * Asks and grants cross the thread border as flat numbers: a checkpoint of 100,000 buckets must not cost the event
 * loop 100,000 objects.
 */

/** Places of the numbers of one ask. */
export const ASK = {
  rate: 0,
  burst: 1,
  atMs: 2,
  seq: 3,
  give: 4,
  owed: 5,
  want: 6,
  least: 7,
  ahead: 8,
} as const
export const ASK_FIELDS = 9

/** Places of the numbers of one grant; its tail is `to`. */
export const GRANT = { atMs: 0, from: 1, to: 2, seq: 3, isContiguous: 4, isContended: 5 } as const
export const GRANT_FIELDS = 6

import { BANS_AND_BUCKETS } from './0001-bans-and-buckets.ts'
import { SESSIONS } from './0002-sessions.ts'
import { DEBT_ASIDE } from './0003-debt-aside.ts'

/**
 * Every step of the schema in order; step N brings version N - 1 to N. A step that was released is never
 * edited: a change is a new step.
 */
export const MIGRATIONS: readonly string[] = [BANS_AND_BUCKETS, SESSIONS, DEBT_ASIDE]

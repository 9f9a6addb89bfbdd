import { readFileSync } from 'node:fs'
import type { LimitRule } from '../../src/proxy/limits/limit-rule.ts'
import type { Admission } from './crash-rules.ts'

/** What the processes of the crash test wrote, see `crash-child.ts`. */
export interface CrashLog {
  /** By agent. */
  readonly sent: ReadonlyMap<string, readonly LoggedEvent[]>
  readonly refunded: ReadonlyMap<string, readonly LoggedEvent[]>
  /** Acknowledged bans and lifts. */
  readonly changes: readonly LoggedChange[]
  /** Rules that a process saw broken. */
  readonly broken: readonly string[]
}

export interface LoggedEvent {
  readonly beforeMs: number
  readonly afterMs: number
  readonly bytes: number
}

export interface LoggedChange {
  readonly revision: number
  readonly agent: string
  readonly action: string
}

export function readCrashLog(path: string): CrashLog {
  const sent = new Map<string, LoggedEvent[]>()
  const refunded = new Map<string, LoggedEvent[]>()
  const changes: LoggedChange[] = []
  const broken: string[] = []
  /* The last line of a killed process may be cut: a line counts with its end. */
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
  for (const line of lines) {
    const [kind, ...fields] = line.split(' ')
    if (kind === 'S' || kind === 'R') {
      const [agent = '', before, after, bytes] = fields
      const events = kind === 'S' ? sent : refunded
      const ofAgent = events.get(agent) ?? []
      ofAgent.push({ beforeMs: Number(before), afterMs: Number(after), bytes: Number(bytes) })
      events.set(agent, ofAgent)
    } else if (kind === 'C') {
      const [revision, agent = '', action = ''] = fields
      changes.push({ revision: Number(revision), agent, action })
    } else {
      broken.push(line)
    }
  }
  return { sent, refunded, changes, broken }
}

/** What these events took from one limit. */
export function admissionsOf(events: readonly LoggedEvent[] | undefined, rule: LimitRule): Admission[] {
  return (events ?? []).map(({ beforeMs, afterMs, bytes }) => ({
    beforeMs,
    afterMs,
    tokens: rule.cost === 'byte' ? bytes : 1,
  }))
}

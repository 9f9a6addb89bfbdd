import type { ConfigPush, ConfigPushEntry } from '../../pool/config-push.ts'
import type { AgentEntry } from './agent-set.ts'

/** How an agent stands to the configuration that is meant for it. */
export type ConfigStanding =
  | { readonly state: 'taken' }
  /** Not answered yet, or its connections are being replaced. */
  | { readonly state: 'pending'; readonly words: string }
  /** It said no, never answered, or cannot be told: `words` are its own where it gave some. */
  | { readonly state: 'refused' | 'untold'; readonly words: string }

const TAKEN: ConfigStanding = { state: 'taken' }

/** The standing of the connection that stands first here is that of the agent. */
const GRAVITY: readonly ConfigPushEntry['state'][] = [
  'refused',
  'failed',
  'sent',
  'replacing',
  'unsupported',
  'acknowledged',
]

/**
 * What became of the latest word to each connection that is up. Without any, the latest push counts: an agent that
 * dials in and refuses is hung up on, and that it refused is why it is not there.
 */
export function configStanding({ pool }: Pick<AgentEntry, 'pool'>): ConfigStanding {
  const pushes = pool.configPushes
  const heard = new Set<number>()
  let worst: ConfigPushEntry | undefined
  for (let at = pushes.length - 1; at >= 0; at--)
    for (const entry of pushes[at]!.connections.values()) {
      if (heard.has(entry.connectionId) || pool.find(entry.connectionId) === undefined) continue
      heard.add(entry.connectionId)
      worst = graver(worst, entry)
    }
  if (heard.size === 0) worst = refusalIn(pushes.at(-1))
  return worst === undefined ? TAKEN : standingOf(worst)
}

function refusalIn(push: ConfigPush | undefined): ConfigPushEntry | undefined {
  return push === undefined
    ? undefined
    : [...push.connections.values()].find((one) => one.state === 'refused')
}

function graver(one: ConfigPushEntry | undefined, other: ConfigPushEntry): ConfigPushEntry {
  return one !== undefined && GRAVITY.indexOf(one.state) <= GRAVITY.indexOf(other.state) ? one : other
}

function standingOf({ state, error }: ConfigPushEntry): ConfigStanding {
  switch (state) {
    case 'acknowledged':
      return TAKEN
    case 'sent':
      return { state: 'pending', words: 'it has not answered yet' }
    case 'replacing':
      return {
        state: 'pending',
        words: 'it cannot be told while it runs; its connections are being replaced',
      }
    case 'unsupported':
      return { state: 'untold', words: 'it cannot be told while it runs; it learns at its next connection' }
    case 'failed':
    case 'refused':
      return { state: 'refused', words: error ?? 'without a reason' }
  }
}

import type { EventKind } from '../core/event.ts'
import type { AgentPool } from '../pool/agent-pool.ts'
import type { BodyPlan } from './chain.ts'

/** What happens to a request when an agent fails to answer: deny it, or go on without that agent. */
export type FailureMode = 'closed' | 'open'
/** When every connection of an agent is paused: fail with PAUSED, skip the agent, or wait for a resume. */
export type PauseMode = 'closed' | 'open' | 'wait'
/** When an agent's rate limit or ban says no: deny the request, or go on without that agent. */
export type LimitMode = 'deny' | 'skip'

/** How the pipeline treats one agent. Frozen; a reload makes a new one. */
export interface AgentPolicy {
  readonly name: string
  /** Kinds of event this agent gets. */
  readonly events: ReadonlySet<EventKind>
  /** Milliseconds for each event, from dispatch to verdict, queueing included. */
  readonly timeoutMs: number
  /** Most that `timeoutMs` may grow to, as a factor, when the agent reports that it is degraded; 1: not at all. */
  readonly maxTimeoutMultiplier: number
  readonly onFailure: FailureMode
  readonly onPause: PauseMode
  /** Milliseconds that `onPause: wait` waits at most. */
  readonly flowWaitMs: number
  readonly onLimit: LimitMode
  /** Milliseconds without an answer after which header events are asked on a second connection; absent: never. */
  readonly hedgeAfterMs?: number | undefined
  /** How bodies are shown to this agent; used only for the body kinds in `events`. */
  readonly body: BodyPlan
}

/**
 * Whether the agent may get more than one event of a request: several kinds, or one that comes in pieces or frames. Those
 * have to go to one connection.
 */
export function getsSeveralEvents({ events }: AgentPolicy): boolean {
  if (events.size > 1) return true
  return (
    events.has('request-body-chunk') || events.has('response-body-chunk') || events.has('websocket-frame')
  )
}

/** One agent of a chain: how to treat it and where its connections are. */
export interface ChainAgent {
  readonly policy: AgentPolicy
  readonly pool: AgentPool
}

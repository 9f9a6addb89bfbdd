import type { Clock } from '../core/clock.ts'
import type { Probe } from '../core/probe.ts'
import type { Random } from '../core/random.ts'

/** What serving and dialing in have in common. */
export interface AgentOptions {
  /** Events at once on one connection that the agent asks for. Default 1,000. */
  readonly maxConcurrency?: number | undefined
  /** Bytes of one body that the agent takes; Weir shows it no more. Default 10 MiB, the protocol's own, which states nothing. */
  readonly maxBodySize?: number | undefined
  /** Milliseconds between health reports with load figures. Default 0: only when the state changes. */
  readonly healthIntervalMs?: number | undefined
  /** Requests whose state is remembered at most; the longest idle one gives way. Default 100,000. */
  readonly maxRequests?: number | undefined
  /** Milliseconds without an event after which a request's state is let go. Default 300,000. */
  readonly requestIdleTtlMs?: number | undefined
  /**
   * The handlers look at the data of a body chunk and keep nothing of it: its memory is used again once a handler that
   * answers at once has returned, so copy what is needed later. Default false: data is yours to keep.
   */
  readonly reuseBodyMemory?: boolean | undefined
  /** Sees failures, refused registrations and lost connections. Default: one line each on stderr. */
  readonly probe?: Probe | undefined
  readonly clock?: Clock | undefined
  readonly random?: Random | undefined
}

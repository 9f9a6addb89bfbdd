import { randomUUID } from 'node:crypto'
import type { BackoffOptions } from '../core/backoff.ts'
import { WeirError } from '../core/errors.ts'
import { systemRandom } from '../core/random.ts'
import { parseBindAddress } from '../transport/endpoint.ts'
import { dialReverse } from '../transport/reverse/reverse-dialer.ts'
import type { TlsClientOptions } from '../transport/tls-options.ts'
import type { Encoding } from '../wire/codec.ts'
import type { Agent } from './agent.ts'
import { agentEnd } from './agent-end.ts'
import type { AgentOptions } from './agent-options.ts'
import { DialKeeper, type DialState } from './dial-keeper.ts'
import type { RunningAgent } from './running-agent.ts'

export interface DialInOptions extends AgentOptions {
  /** Proves that this agent may use its id. */
  readonly token?: string | undefined
  /** Connections to keep up, 1 to 64. Default 1. */
  readonly connections?: number | undefined
  /** For `tls://`: authorities to trust, and a client certificate. Default: the system's authorities. */
  readonly tls?: TlsClientOptions | undefined
  /** Encodings to offer. Default both; a proxy that is not Weir answers JSON. */
  readonly encodings?: readonly Encoding[] | undefined
  /** Pauses between attempts. Default 100 ms, doubled up to 2 s, with jitter, without end. */
  readonly backoff?: BackoffOptions | undefined
  /** Milliseconds for one dial with its registration. Default 10,000. */
  readonly dialTimeoutMs?: number | undefined
  /**
   * Names this copy of the agent among others of the same id, across restarts: a newer run of the same instance takes the
   * place of the older one. Default: a fresh name for each run.
   */
  readonly instance?: string | undefined
  /** What each connection (from 0) is doing, whenever that changes. */
  readonly onState?: ((state: DialState, connection: number) => void) | undefined
}

const MAX_CONNECTIONS = 64
/** As Weir itself dials agents again: a proxy that is back has its agents back within this time. */
const LONGEST_PAUSE_MS = 2000
/** The longest delay that a timer takes. */
const FOREVER_MS = 0x7fffffff

/**
 * Dials a proxy and serves it as an agent, over as many connections as asked for. Each is kept up on its own: after any
 * end it is dialed again, forever. Keeps the process alive until `close()`.
 * @param address `unix:./run/agents.sock`, `tcp://host:port` or `tls://host:port`
 * @throws WeirError INVALID_ARGUMENT
 */
export function dialIn<S extends object = Record<string, unknown>>(
  address: string,
  agent: Agent<S>,
  options: DialInOptions = {},
): RunningAgent {
  parseBindAddress(address)
  const count = options.connections ?? 1
  if (!Number.isInteger(count) || count < 1 || count > MAX_CONNECTIONS)
    throw new WeirError('INVALID_ARGUMENT', `connections is ${count}; use 1 to ${MAX_CONNECTIONS}`)
  const keepers: DialKeeper[] = []
  const end = agentEnd(agent, options, {
    closed: (link, reason) => {
      for (const keeper of keepers) keeper.linkClosed(link, reason)
    },
  })
  const metadata = {
    instance: options.instance ?? randomUUID(),
    /* Grows from run to run, so that a proxy knows which of two runs is the newer one. */
    epoch: end.clock.wallMs(),
  }
  for (let n = 0; n < count; n++) {
    keepers.push(
      new DialKeeper({
        clock: end.clock,
        random: options.random ?? systemRandom,
        backoff: { maxMs: LONGEST_PAUSE_MS, ...options.backoff },
        onState: (state) => {
          report(state, n)
          options.onState?.(state, n)
        },
        dial: (signal) =>
          dialReverse(address, {
            agentId: end.agentId,
            authToken: options.token,
            metadata,
            agent: end.options,
            tls: options.tls,
            signal,
            clock: end.clock,
            ...(options.encodings !== undefined && { encodings: options.encodings }),
            ...(options.dialTimeoutMs !== undefined && { timeoutMs: options.dialTimeoutMs }),
          }),
      }),
    )
  }
  for (const keeper of keepers) keeper.start()
  const alive = setInterval(() => {}, FOREVER_MS)
  return end.run({
    address,
    port: 0,
    quiesce: () => {
      for (const keeper of keepers) keeper.stop()
    },
    release: async () => clearInterval(alive),
  })

  function report(state: DialState, connection: number): void {
    if (state.state !== 'waiting') return
    const what = state.isRefused ? 'was refused by' : 'cannot reach'
    const seconds = (state.retryInMs / 1000).toFixed(1)
    end.probe.notice?.(
      'warn',
      `${agent.name}: connection ${connection} ${what} ${address}: ${state.error.message}; next attempt in ${seconds} s`,
      { connection, code: state.error.code },
    )
  }
}

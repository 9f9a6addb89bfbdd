import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../src/core/clock.ts'
import { type Probe, SILENT } from '../../src/core/probe.ts'
import { systemRandom } from '../../src/core/random.ts'
import { TimerWheel } from '../../src/core/timer-wheel.ts'
import { ConnectionPool } from '../../src/pool/connection-pool.ts'
import { poolSettings } from '../../src/pool/pool-options.ts'
import { AgentDispatcher } from '../../src/proxy/agent-dispatcher.ts'
import type { AgentPolicy } from '../../src/proxy/agent-policy.ts'
import { AgentChain, type BodyPlan, NO_BODY } from '../../src/proxy/chain.ts'
import type { Verdict } from '../../src/proxy/verdict.ts'
import type { Dialer, HandshakeOptions } from '../../src/transport/connection.ts'
import { requestHeaders } from './events.ts'
import type { Starter } from './load.ts'

export const HANDSHAKE: HandshakeOptions = {
  proxyId: 'weir',
  proxyVersion: '0.6.54',
  connectTimeoutMs: 5000,
  configTimeoutMs: 5000,
}

/** The shipped path below the front ends: dispatcher, pipeline, pool and transport, with real deadlines. */
export interface WeirSide {
  /** One request of one event, from open to close, its verdict looked at. */
  readonly request: () => Promise<boolean>
  /** The same for {@link countingLoop}. */
  readonly start: Starter
  /** One body, as a request of its own. */
  readonly openBody: () => BodyAsker
  close(): Promise<void>
}

/** Asks about the pieces of one body. */
export interface BodyAsker {
  readonly plan: BodyPlan
  ask(data: Uint8Array, chunkIndex: number, isLast: boolean, bytesTransferred: number): Promise<Verdict>
  close(): void
}

export const CONNECTIONS = 4

/** Agents that dial in: hands their connections to the pool. */
export interface AgentSource {
  feed(pool: ConnectionPool): Promise<void>
}

/**
 * Connects to one agent and waits until all connections are there. `proof`: a request header that only the agent's
 * handler sets; a verdict without it counts as failed, so a benchmark that bypasses the agent cannot pass.
 */
export async function weirSide(
  source: (() => Dialer) | AgentSource,
  proof: string,
  connections = CONNECTIONS,
): Promise<WeirSide> {
  let opened = 0
  const probe: Probe = {
    connectionOpened: () => {
      opened++
    },
  }
  const wheel = new TimerWheel(systemClock)
  const around = { clock: systemClock, random: systemRandom, probe }
  const settings = poolSettings({ connections, maxConcurrentPerConnection: 1000, slowStartMs: 0 })
  const dialed = typeof source === 'function' ? { nextDialer: source } : {}
  const pool = new ConnectionPool({ agent: 'ref', settings, around, ...dialed })
  pool.start()
  if (typeof source !== 'function') await source.feed(pool)
  const policy: AgentPolicy = {
    name: 'ref',
    events: new Set(['request-headers']),
    timeoutMs: 5000,
    maxTimeoutMultiplier: 1,
    onFailure: 'closed',
    onPause: 'closed',
    flowWaitMs: 100,
    onLimit: 'deny',
    body: NO_BODY,
  }
  const bodyPolicy: AgentPolicy = {
    ...policy,
    events: new Set(['request-body-chunk']),
    body: { mode: 'stream', maxBytes: Number.MAX_SAFE_INTEGER, onTooLarge: 'reject' },
  }
  const dispatcher = new AgentDispatcher({ clock: systemClock, wheel, probe: SILENT, limits: undefined })
  const chain = new AgentChain('bench', [{ policy, pool }])
  const bodyChain = new AgentChain('bench', [{ policy: bodyPolicy, pool }])
  const facts = { clientIp: '203.0.113.7' }

  const start: Starter = (settled) => {
    const scope = dispatcher.open(chain, facts)
    void dispatcher
      .dispatch(requestHeaders(scope.correlationId), scope)
      .then(({ decision, requestHeaders }) => {
        dispatcher.close(scope, undefined)
        settled(decision.kind === 'allow' && requestHeaders[0]?.name === proof)
      })
  }
  const side: WeirSide = {
    request: () => new Promise(start),
    start,
    openBody() {
      const scope = dispatcher.open(bodyChain, facts)
      const { correlationId } = scope
      return {
        plan: bodyChain.requestBody,
        ask: (data, chunkIndex, isLast, bytesTransferred) =>
          dispatcher.dispatch(
            { kind: 'request-body-chunk', correlationId, data, chunkIndex, isLast, bytesTransferred },
            scope,
          ),
        close: () => dispatcher.close(scope, undefined),
      }
    },
    async close() {
      await pool.drain(systemClock.now() + 1000)
      wheel.close()
    },
  }
  for (let attempt = 0; ; attempt++) {
    if (opened >= connections && (await side.request())) return side
    if (attempt > 500) throw new Error('the agent did not come up')
    await sleep(10)
  }
}

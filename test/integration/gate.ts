import { CorrelationIds } from '../../src/core/correlation-id.ts'
import type { AgentCallFacts, Probe } from '../../src/core/probe.ts'
import { systemRandom } from '../../src/core/random.ts'
import { TimerWheel } from '../../src/core/timer-wheel.ts'
import { ConnectionPool, type NextDialer } from '../../src/pool/connection-pool.ts'
import type { Incarnation } from '../../src/pool/managed-pool.ts'
import { type PoolOptions, poolSettings } from '../../src/pool/pool-options.ts'
import type { PoolSnapshot } from '../../src/pool/pool-snapshot.ts'
import { Registry } from '../../src/pool/registry.ts'
import { AgentDispatcher } from '../../src/proxy/agent-dispatcher.ts'
import type { AgentPolicy } from '../../src/proxy/agent-policy.ts'
import { AgentChain, NO_BODY } from '../../src/proxy/chain.ts'
import type { Verdict } from '../../src/proxy/verdict.ts'
import type { HandshakeOptions } from '../../src/transport/connection.ts'
import type { Listener } from '../../src/transport/proxy-link.ts'
import { listenReverse } from '../../src/transport/reverse/reverse-listener.ts'
import { udsDialer } from '../../src/transport/uds/uds-dialer.ts'
import type { RegistrationRequest } from '../../src/wire/codec.ts'
import { requestHeaders } from '../support/sample-events.ts'
import { CountingClock } from './counting-clock.ts'
import { Upload } from './upload.ts'
import { whatOf } from './what-of.ts'

/** One agent as a gate knows it. */
export interface AgentPlan {
  /** Default `judge`. */
  readonly name?: string
  /** Where it is dialed: a path or `host:port`. Absent: it dials in. */
  readonly address?: string
  readonly pool?: PoolOptions
  readonly policy?: Partial<AgentPolicy>
  /** Milliseconds for dial and handshake. Default 400. */
  readonly connectTimeoutMs?: number
}

/** What became of one request. */
export interface Outcome {
  readonly correlationId: string
  readonly agents: readonly string[]
  /** `allow`, `block`, an error code, or `bypass:` and the reasons. */
  readonly what: string
  readonly verdict: Verdict
  readonly latencyMs: number
  /** Milliseconds after which it must be over: the deadlines of its agents, one after the other. */
  readonly timeoutMs: number
  /** Process that answered; undefined when none was heard. */
  readonly judge: string | undefined
  /** An answer that belongs to another request. */
  readonly isMixedUp: boolean
}

/** Everything the probe was told. */
export class Books {
  readonly calls: AgentCallFacts[] = []
  readonly bypasses: string[] = []
  readonly breaker: string[] = []
  opened = 0
  closed = 0
  strays = 0
  dialsFailed = 0
  readonly probe: Probe = {
    agentCall: (call) => void this.calls.push(call),
    bypass: (_agent, _phase, reason) => void this.bypasses.push(reason),
    breakerChanged: (_agent, state) => void this.breaker.push(state),
    connectionOpened: () => void this.opened++,
    connectionClosed: () => void this.closed++,
    strayReply: () => void this.strays++,
    dialFailed: () => void this.dialsFailed++,
  }
}

/** Weir between front ends and agents, as shipped, in this process: registry, pools, dispatcher, dialers, real time. */
export class Gate {
  readonly clock = new CountingClock()
  readonly wheel = new TimerWheel(this.clock)
  readonly books = new Books()
  readonly outcomes: Outcome[] = []
  readonly uploads: Upload[] = []
  readonly registry: Registry
  readonly dispatcher: AgentDispatcher
  /** Reasons of refused registrations. */
  readonly refusals: string[] = []
  readonly errors: unknown[] = []
  readonly #chains = new Map<string, AgentChain>()
  #listener: Listener | undefined
  #asked = 0

  constructor(plans: readonly AgentPlan[]) {
    const { clock, wheel } = this
    const { probe } = this.books
    this.registry = new Registry(clock, (error) => void this.errors.push(error))
    this.dispatcher = new AgentDispatcher(
      { clock, wheel, probe, limits: undefined },
      { correlationIds: new CorrelationIds() },
    )
    const members = plans.map((plan) => {
      const { name = 'judge', address } = plan
      const dialer = address === undefined ? undefined : this.#dialer(address, plan.connectTimeoutMs ?? 400)
      const settings = poolSettings({ slowStartMs: 0, reconnect: { maxMs: 800 }, ...plan.pool })
      const around = { clock, random: systemRandom, probe }
      const pool = new ConnectionPool({ agent: name, settings, around, nextDialer: dialer })
      return { policy: { ...POLICY, name, ...plan.policy }, pool }
    })
    for (const { policy, pool } of members) {
      this.#chains.set(policy.name, new AgentChain('one', [{ policy, pool }]))
      const patient = { ...policy, timeoutMs: PATIENT_MS }
      this.#chains.set(`patient ${policy.name}`, new AgentChain('patient', [{ policy: patient, pool }]))
    }
    this.#chains.set('all', new AgentChain('all', members))
    for (const { pool } of members) this.registry.add(pool)
  }

  /** Accepts agents that dial in under the name of a plan, each with the token `secret`. */
  async listen(address: string): Promise<void> {
    this.#listener = await listenReverse(address, {
      proxyId: 'weir',
      proxyVersion: '0.1.0',
      clock: this.clock,
      admit: (request) => {
        const refused = this.registry.get(request.agentId)?.canAdopt(incarnationOf(request))
        const isKnown = this.registry.get(request.agentId) !== undefined && request.authToken === 'secret'
        return isKnown && refused === undefined
          ? { isAdmitted: true, connectionId: request.agentId }
          : { isAdmitted: false, ...(refused !== undefined && { reason: refused.message }) }
      },
      onConnection: (connection, request) => {
        const refused = this.pool(request.agentId).adopt(connection, incarnationOf(request))
        if (refused !== undefined) connection.destroy(refused)
      },
      onRefused: (_peer, reason) => void this.refusals.push(reason.message),
    })
  }

  pool(name = 'judge'): ConnectionPool {
    return this.registry.get(name) as ConnectionPool
  }

  snapshot(name = 'judge'): PoolSnapshot {
    return this.pool(name).snapshot()
  }

  /**
   * One request of one event. `chain`: an agent's name, `patient` and a name for a long deadline
   * on the same connections, or `all`. `mark` goes into its URI.
   */
  async ask(mark = '', chain = 'judge', sessionKey?: string): Promise<Outcome> {
    const agents = this.#chains.get(chain)!
    const startedAt = performance.now()
    const scope = this.dispatcher.open(agents, { clientIp: '203.0.113.7', sessionKey })
    const { correlationId } = scope
    const uri = `/${mark}?n=${++this.#asked}`
    const verdict = await this.dispatcher.dispatch(requestHeaders(correlationId, { uri }), scope)
    this.dispatcher.close(scope, undefined)
    const latencyMs = performance.now() - startedAt
    const said = (name: string): string | undefined => {
      const op = verdict.requestHeaders.find((one) => one.name === name)
      return op?.op === 'remove' ? undefined : op?.value
    }
    const echo = said('x-echo')
    const outcome: Outcome = {
      correlationId,
      agents: agents.members.map(({ policy }) => policy.name),
      what: whatOf(verdict),
      verdict,
      latencyMs,
      timeoutMs: agents.members.reduce((sum, { policy }) => sum + policy.timeoutMs, 0),
      judge: said('x-judge'),
      isMixedUp: echo !== undefined && echo !== uri,
    }
    this.outcomes.push(outcome)
    return outcome
  }

  /** A request with a body. Its headers are allowed, or it throws. */
  async upload(chain = 'judge'): Promise<Upload> {
    const upload = new Upload(this.dispatcher, this.#chains.get(chain)!)
    this.uploads.push(upload)
    await upload.begin()
    return upload
  }

  /** Stops taking agents in and drains the pools. */
  async close(): Promise<void> {
    await this.dispatcher.drain(1000)
    await this.registry.drain(this.clock.now() + 1000)
    await this.#listener?.close()
    this.wheel.close()
  }

  #dialer(address: string, connectTimeoutMs: number): NextDialer {
    const { clock } = this
    const handshake: HandshakeOptions = {
      proxyId: 'weir',
      proxyVersion: '0.1.0',
      connectTimeoutMs,
      configTimeoutMs: connectTimeoutMs,
    }
    if (address.startsWith('/')) return () => udsDialer(address, handshake, { clock })
    /* Loaded when it is needed: it is most of what a test of Unix sockets would wait for. */
    return async () => {
      const { grpcDialer } = await import('../../src/transport/grpc/grpc-dialer.ts')
      return grpcDialer(`grpc://${address}`, handshake, { clock })
    }
  }
}

/** For requests that must be answered however busy the machine is. */
const PATIENT_MS = 10_000

/** Deadlines are generous: scenarios in which they pass set their own. */
const POLICY: AgentPolicy = {
  name: 'judge',
  events: new Set(['request-headers']),
  timeoutMs: 3000,
  maxTimeoutMultiplier: 1,
  onFailure: 'closed',
  onPause: 'closed',
  flowWaitMs: 100,
  onLimit: 'deny',
  body: NO_BODY,
}

function incarnationOf({ metadata }: RegistrationRequest): Incarnation | undefined {
  const { instance, epoch } = metadata as { instance?: string; epoch?: number }
  return instance === undefined || epoch === undefined ? undefined : { instance, epoch }
}

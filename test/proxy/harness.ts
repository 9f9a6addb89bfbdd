import type { AgentEvent, EventKind } from '../../src/core/event.ts'
import { type Probe, SILENT } from '../../src/core/probe.ts'
import { TimerWheel } from '../../src/core/timer-wheel.ts'
import { AgentDispatcher } from '../../src/proxy/agent-dispatcher.ts'
import type { AgentPolicy, ChainAgent } from '../../src/proxy/agent-policy.ts'
import { AgentChain } from '../../src/proxy/chain.ts'
import type { ConcurrencyGate } from '../../src/proxy/limits/concurrency-gate.ts'
import type { LimitGate } from '../../src/proxy/limits/limit-gate.ts'
import type { RequestScope } from '../../src/proxy/request-scope.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { ScriptedPool } from '../support/scripted-pool.ts'

export const ALL_EVENTS: readonly EventKind[] = [
  'request-headers',
  'request-body-chunk',
  'response-headers',
  'response-body-chunk',
  'websocket-frame',
  'guardrail-inspect',
]

export function policy(name: string, parts: Partial<AgentPolicy> = {}): AgentPolicy {
  return {
    name,
    events: new Set(ALL_EVENTS),
    timeoutMs: 1000,
    maxTimeoutMultiplier: 1,
    onFailure: 'closed',
    onPause: 'closed',
    flowWaitMs: 100,
    onLimit: 'deny',
    body: { mode: 'stream', maxBytes: 1024, onTooLarge: 'reject' },
    ...parts,
  }
}

/** A dispatcher over scripted pools and a clock that stands still. */
export class Bench {
  readonly clock = new FakeClock()
  readonly wheel = new TimerWheel(this.clock)
  readonly pools = new Map<string, ScriptedPool>()
  readonly dispatcher: AgentDispatcher

  constructor(
    parts: {
      readonly probe?: Probe
      readonly limits?: LimitGate
      readonly maxOpenRequests?: number
      readonly overload?: ConcurrencyGate
    } = {},
  ) {
    const { maxOpenRequests } = parts
    this.dispatcher = new AgentDispatcher(
      {
        clock: this.clock,
        wheel: this.wheel,
        probe: parts.probe ?? SILENT,
        limits: parts.limits,
        overload: parts.overload,
      },
      maxOpenRequests === undefined ? {} : { maxOpenRequests },
    )
  }

  agent(name: string, parts: Partial<AgentPolicy> = {}, connections: readonly number[] = [1]): ChainAgent {
    const pool = new ScriptedPool(name, connections)
    this.pools.set(name, pool)
    return { policy: policy(name, parts), pool }
  }

  pool(name: string): ScriptedPool {
    return this.pools.get(name)!
  }

  open(agents: readonly ChainAgent[], isParallel = false): RequestScope {
    return this.dispatcher.open(new AgentChain('route', agents, isParallel), { clientIp: '203.0.113.7' })
  }
}

export function headersEvent(scope: RequestScope): AgentEvent {
  return {
    kind: 'request-headers',
    correlationId: scope.correlationId,
    metadata: {
      requestId: 'r',
      clientIp: '203.0.113.7',
      clientPort: 1,
      protocol: 'HTTP/1.1',
      timestampMs: 0,
    },
    method: 'GET',
    uri: '/',
    headers: ['host', 'example.com'],
  }
}

export function chunkEvent(scope: RequestScope, chunkIndex = 0, isLast = false): AgentEvent {
  return {
    kind: 'request-body-chunk',
    correlationId: scope.correlationId,
    data: Buffer.from('body'),
    chunkIndex,
    isLast,
    bytesTransferred: 4,
  }
}

export function eventOf(kind: EventKind, scope: RequestScope): AgentEvent {
  const { correlationId } = scope
  switch (kind) {
    case 'request-headers':
      return headersEvent(scope)
    case 'request-body-chunk':
      return chunkEvent(scope)
    case 'response-body-chunk':
      return { ...chunkEvent(scope), kind } as AgentEvent
    case 'response-headers':
      return { kind, correlationId, status: 200, headers: [] }
    case 'websocket-frame':
      return {
        kind,
        correlationId,
        opcode: 'text',
        data: Buffer.from('hi'),
        clientToServer: true,
        frameIndex: 0,
        fin: true,
        clientIp: '203.0.113.7',
      }
    case 'guardrail-inspect':
      return {
        kind,
        correlationId,
        inspectionType: 'pii_detection',
        content: 'x',
        categories: [],
        metadata: {},
      }
    case 'request-complete':
      return {
        kind,
        correlationId,
        status: 200,
        durationMs: 1,
        requestBodySize: 0,
        responseBodySize: 0,
        upstreamAttempts: 1,
      }
    case 'configure':
      return { kind, correlationId, config: {}, isInitial: false }
  }
}

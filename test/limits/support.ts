import type { Clock } from '../../src/core/clock.ts'
import { type Probe, SILENT } from '../../src/core/probe.ts'
import type { LeasedBucketsOptions } from '../../src/proxy/limits/leased-buckets.ts'
import type { LimitDenied, LimitRequest, LimitVerdict } from '../../src/proxy/limits/limit-gate.ts'
import type { LimitRule } from '../../src/proxy/limits/limit-rule.ts'
import type { LimitStore } from '../../src/proxy/limits/limit-store.ts'
import { Limiter } from '../../src/proxy/limits/limiter.ts'
import { MemoryLimitStore } from './memory-limit-store.ts'

export function rule(ratePerSecond: number, burst: number, rest: Partial<LimitRule> = {}): LimitRule {
  return { name: 'events', key: { by: 'agent' }, ratePerSecond, burst, cost: 'event', shadow: false, ...rest }
}

export interface RequestParts {
  readonly agent?: string
  readonly routeName?: string
  readonly bytes?: number
  readonly clientIp?: string
  readonly sessionKey?: string
  readonly headers?: Readonly<Record<string, string>>
}

export function request(parts: RequestParts = {}): LimitRequest {
  const { headers = {} } = parts
  return {
    agentName: parts.agent ?? 'waf',
    routeName: parts.routeName ?? 'api',
    payloadBytes: parts.bytes ?? 0,
    facts: {
      clientIp: parts.clientIp ?? '10.0.0.1',
      sessionKey: parts.sessionKey,
      header: (name) => headers[name],
    },
  }
}

export interface LimiterParts extends Partial<Omit<LeasedBucketsOptions, 'clock' | 'store' | 'probe'>> {
  readonly clock: Clock
  readonly store?: LimitStore
  readonly probe?: Probe
  readonly rules?: readonly LimitRule[]
  readonly agents?: ReadonlyMap<string, readonly LimitRule[]>
  /** How many agents `agent N` there are that `rules` limit, beside those with names. Default 50. */
  readonly agentCount?: number
}

const NAMES = [
  'waf',
  'auth',
  'a',
  'b',
  'c',
  'd',
  'x',
  'known',
  'first',
  'second',
  'other',
  'large',
  'never',
  'newcomer',
]

/** The same limits for every agent of these tests, each counted by itself. */
export function everyAgent(
  rules: readonly LimitRule[],
  agentCount = 50,
): ReadonlyMap<string, readonly LimitRule[]> {
  const numbered = Array.from({ length: agentCount }, (_, index) => `agent ${index}`)
  return new Map([...NAMES, ...numbered].map((agent) => [agent, rules]))
}

/** A limiter with `agents`, or with `rules` for every agent; not started. */
export function makeLimiter(parts: LimiterParts): Limiter {
  const limiter = new Limiter({
    store: parts.store ?? new MemoryLimitStore(),
    clock: parts.clock,
    probe: parts.probe ?? SILENT,
    capacity: parts.capacity ?? 1000,
    onStoreFailure: parts.onStoreFailure ?? 'deny',
    storeTimeoutMs: parts.storeTimeoutMs ?? 250,
  })
  limiter.configure({ agents: parts.agents ?? everyAgent(parts.rules ?? [], parts.agentCount) })
  return limiter
}

export async function denied(answer: LimitVerdict | Promise<LimitVerdict>): Promise<LimitDenied> {
  const verdict = await answer
  if (verdict.allowed) throw new Error('the check was allowed')
  return verdict
}

/** How many of `count` checks in a row are allowed. */
export async function admitted(limiter: Limiter, count: number, parts: RequestParts = {}): Promise<number> {
  let allowed = 0
  for (let index = 0; index < count; index++) if ((await limiter.check(request(parts))).allowed) allowed++
  return allowed
}

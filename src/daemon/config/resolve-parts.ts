import type { SessionKeySource } from '../../frontend/session-key.ts'
import { DEFAULT_TARGETS } from '../../policy/limits/load-pressure.ts'
import type { LimitKey, LimitRule } from '../../proxy/limits/limit-rule.ts'
import type { OverloadConfig } from './config.ts'
import type { ConfigInput } from './schema.ts'

/** Far above what one process keeps in flight at calm (hundreds), so that a start is not held back. */
const INITIAL_IN_FLIGHT = 1000

type AgentInput = NonNullable<ConfigInput['agents']>[string]

/** Prefixes that one client is taken to hold: an address of IPv4, a site of IPv6 (RFC 6177). */
const CLIENT_KEY: LimitKey = { by: 'client', ipv4Bits: 32, ipv6Bits: 64 }

type LimitInput = NonNullable<AgentInput['limit']>
type LimitOptions = Pick<AgentInput, 'limit' | 'limits'>

/** What an agent says of its limits replaces the presets, all of them. */
export function limitsOf(agent: LimitOptions, shared: LimitOptions): readonly LimitInput[] {
  for (const { limit, limits } of [agent, shared]) {
    if (limits !== undefined) return limits
    if (limit !== undefined) return [limit]
  }
  return []
}

export function limitRule(limit: LimitInput): LimitRule {
  const { ratePerSecond } = limit
  return {
    name: limit.name ?? 'limit',
    key: limitKey(limit.key ?? 'agent'),
    ratePerSecond,
    burst: limit.burst ?? Math.max(1, ratePerSecond),
    cost: limit.cost ?? 'event',
    shadow: limit.shadow ?? false,
  }
}

function limitKey(text: string): LimitKey {
  if (text === 'client-ip') return CLIENT_KEY
  if (text.startsWith('header:')) return { by: 'header', name: text.slice('header:'.length) }
  return { by: text as 'agent' | 'route' | 'session' }
}

export function sessionSource(text: string): SessionKeySource {
  const [from, name = ''] = text.split(':')
  if (from === 'header' || from === 'cookie') return { from, name }
  return { from: 'client-address' }
}

/** The limit starts low and finds its height: what is measured decides, not the start. */
export function overloadLimit(overload: NonNullable<ConfigInput['overload']>): OverloadConfig {
  const min = overload.minInFlight ?? 50
  const max = Math.max(min, overload.maxInFlight ?? 10_000)
  return {
    min,
    max,
    initial: Math.min(max, Math.max(min, INITIAL_IN_FLIGHT)),
    targets: {
      loopLagMs: overload.loopLagMs ?? DEFAULT_TARGETS.loopLagMs,
      utilization: overload.utilization ?? DEFAULT_TARGETS.utilization,
      queueMs: overload.queueMs ?? DEFAULT_TARGETS.queueMs,
    },
  }
}

/** Without the options that were left out, so that they do not hide defaults. */
export function defined<T extends object>(options: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never
}

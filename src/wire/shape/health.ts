import type { FlowSignal, HealthReport, HealthState, LoadMetrics } from '../../core/agent-messages.ts'
import * as field from './fields.ts'

/** In the order of the wire's numbers 1 to 4. */
export const HEALTH_STATES = ['healthy', 'degraded', 'draining', 'unhealthy'] as const
/** In the order of the wire's numbers 1 to 3. */
export const FLOW_ACTIONS = ['pause', 'resume', 'update-capacity'] as const

/** The state may be its number, its name, or an object tagged with `status` that also holds the details. */
export function healthReport(value: unknown): HealthReport {
  const of = field.struct(value, 'health')
  const state = field.member(of, 'state', 1)
  const details = field.isRecord(state) ? state : of
  const at = (name: string, alias: string): unknown =>
    field.member(details, name, -1) ?? field.member(details, alias, -1)
  const disabled = field.member(details, 'disabled_features', -1)
  const recoverable = field.member(details, 'recoverable', -1)
  return {
    agentId: field.textOr(field.member(of, 'agent_id', 0), '', 'health.agent_id'),
    state: healthState(field.isRecord(state) ? state['status'] : state),
    message: field.optionalText(field.member(of, 'message', 2), 'health.message'),
    load: load(field.member(of, 'load', 3)),
    resources: resources(field.member(of, 'resources', 4)),
    validUntilMs: field.optionalCount(field.member(of, 'valid_until_ms', 5), 'health.valid_until_ms'),
    timestampMs: field.countOr(field.member(of, 'timestamp_ms', 6), 0, 'health.timestamp_ms'),
    disabledFeatures:
      disabled === undefined || disabled === null ? undefined : field.textList(disabled, 'disabled_features'),
    timeoutMultiplier: field.optionalDecimal(
      at('timeout_multiplier', 'timeout_multiplier'),
      'timeout_multiplier',
    ),
    drainEtaMs: field.optionalCount(at('drain_eta_ms', 'eta_ms'), 'drain_eta_ms'),
    unhealthyReason: field.optionalText(at('unhealthy_reason', 'reason'), 'unhealthy_reason'),
    recoverable:
      recoverable === undefined || recoverable === null ? undefined : field.flag(recoverable, 'recoverable'),
  }
}

export function healthState(value: unknown): HealthState {
  const state = typeof value === 'number' ? HEALTH_STATES[value - 1] : value
  for (const known of HEALTH_STATES) if (known === state) return known
  throw field.malformed('health.state', `1 to 4 or one of ${HEALTH_STATES.join(', ')}`, value)
}

const LOAD_KEYS = [
  ['inFlight', 'in_flight'],
  ['queueDepth', 'queue_depth'],
  ['avgLatencyMs', 'avg_latency_ms'],
  ['p50LatencyMs', 'p50_latency_ms'],
  ['p95LatencyMs', 'p95_latency_ms'],
  ['p99LatencyMs', 'p99_latency_ms'],
  ['requestsProcessed', 'requests_processed'],
  ['requestsRejected', 'requests_rejected'],
  ['requestsTimedOut', 'requests_timed_out'],
] as const satisfies readonly (readonly [keyof LoadMetrics, string])[]

export function load(value: unknown): LoadMetrics | undefined {
  if (value === undefined || value === null) return undefined
  const of = field.struct(value, 'health.load')
  const found = {} as Record<keyof LoadMetrics, number>
  LOAD_KEYS.forEach(([key, name], index) => {
    found[key] = field.optionalDecimal(field.member(of, name, index), `health.load.${name}`) ?? 0
  })
  return found
}

export function plainLoad(of: LoadMetrics): Record<string, number> {
  const plain: Record<string, number> = {}
  for (const [key, name] of LOAD_KEYS) {
    plain[name] = name.endsWith('_ms') ? finite(of[key]) : field.unsigned(of[key])
  }
  return plain
}

export const RESOURCE_NAMES = [
  'cpu_percent',
  'memory_bytes',
  'memory_limit',
  'active_threads',
  'open_fds',
  'fd_limit',
  'connections',
] as const

/** The measures that the protocol names, and nothing else. */
export function resources(value: unknown): Readonly<Record<string, number>> | undefined {
  if (value === undefined || value === null) return undefined
  const of = field.struct(value, 'health.resources')
  const found: Record<string, number> = {}
  RESOURCE_NAMES.forEach((name, index) => {
    const number = field.optionalDecimal(field.member(of, name, index), `health.resources.${name}`)
    if (number !== undefined) found[name] = number
  })
  return found
}

export function plainResources(of: Readonly<Record<string, number>>): Record<string, number | null> {
  const plain: Record<string, number | null> = {}
  for (const name of RESOURCE_NAMES) {
    const number = Object.hasOwn(of, name) ? of[name] : undefined
    if (number === undefined) plain[name] = null
    else plain[name] = name === 'cpu_percent' ? finite(number) : field.unsigned(number)
  }
  return plain
}

function finite(value: number): number {
  return Number.isFinite(value) ? value : 0
}

export function plainHealth(of: HealthReport): Record<string, unknown> {
  return {
    agent_id: of.agentId,
    state: HEALTH_STATES.indexOf(of.state) + 1,
    message: of.message ?? null,
    load: of.load === undefined ? null : plainLoad(of.load),
    resources: of.resources === undefined ? null : plainResources(of.resources),
    valid_until_ms: field.optionalUnsigned(of.validUntilMs),
    timestamp_ms: field.unsigned(of.timestampMs),
    ...(of.disabledFeatures === undefined ? {} : { disabled_features: of.disabledFeatures }),
    ...(of.timeoutMultiplier === undefined ? {} : { timeout_multiplier: finite(of.timeoutMultiplier) }),
    ...(of.drainEtaMs === undefined ? {} : { drain_eta_ms: field.unsigned(of.drainEtaMs) }),
    ...(of.unhealthyReason === undefined ? {} : { unhealthy_reason: of.unhealthyReason }),
    ...(of.recoverable === undefined ? {} : { recoverable: of.recoverable }),
  }
}

/** The action may be its number, its name, or an object tagged with `type`. A missing one is an error. */
export function flowSignal(value: unknown): FlowSignal {
  const of = field.struct(value, 'flow control')
  const action = field.member(of, 'action', 1)
  const inner = field.isRecord(action) ? field.member(action, 'buffer_available', -1) : undefined
  return {
    correlationId: field.optionalText(field.member(of, 'correlation_id', 0), 'flow.correlation_id'),
    action: flowAction(field.isRecord(action) ? action['type'] : action),
    bufferAvailable: field.optionalCount(
      inner ?? field.member(of, 'buffer_available', -1),
      'flow.buffer_available',
    ),
    timestampMs: field.countOr(field.member(of, 'timestamp_ms', 2), 0, 'flow.timestamp_ms'),
  }
}

export function flowAction(value: unknown): FlowSignal['action'] {
  const action =
    typeof value === 'number'
      ? FLOW_ACTIONS[value - 1]
      : value === 'update_capacity'
        ? 'update-capacity'
        : value
  for (const known of FLOW_ACTIONS) if (known === action) return known
  throw field.malformed('flow.action', '1 to 3 or one of pause, resume, update_capacity', value)
}

export function plainFlow(of: FlowSignal): Record<string, unknown> {
  return {
    correlation_id: of.correlationId ?? null,
    action: FLOW_ACTIONS.indexOf(of.action) + 1,
    buffer_available: field.optionalUnsigned(of.bufferAvailable),
    timestamp_ms: field.unsigned(of.timestampMs),
  }
}

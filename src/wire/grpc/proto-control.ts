import {
  CANCEL_REASONS,
  type CancelReason,
  type ConfigUpdate,
  type ConfigUpdateRequest,
  type FlowSignal,
  type HealthReport,
  type LogMessage,
  type MetricSample,
  type MetricsReport,
} from '../../core/agent-messages.ts'
import { malformed, unsigned } from '../shape/fields.ts'
import {
  FLOW_ACTIONS,
  flowAction,
  HEALTH_STATES,
  healthState,
  load,
  plainLoad,
  plainResources,
  RESOURCE_NAMES,
} from '../shape/health.ts'
import { plainSample } from '../shape/metrics.ts'
import * as proto from './proto-fields.ts'
import type { ProtoMessage } from './service.ts'

const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const

export function protoHealth(of: HealthReport): ProtoMessage {
  return proto.present({
    agent_id: of.agentId,
    state: HEALTH_STATES.indexOf(of.state) + 1,
    message: of.message,
    load: of.load === undefined ? undefined : plainLoad(of.load),
    resources: of.resources === undefined ? undefined : withoutNulls(plainResources(of.resources)),
    valid_until_ms: of.validUntilMs === undefined ? undefined : unsigned(of.validUntilMs),
    timestamp_ms: unsigned(of.timestampMs),
    disabled_features: of.disabledFeatures,
    timeout_multiplier: of.timeoutMultiplier,
    drain_eta_ms: of.drainEtaMs === undefined ? undefined : unsigned(of.drainEtaMs),
    unhealthy_reason: of.unhealthyReason,
    recoverable: of.recoverable,
  })
}

function withoutNulls(of: Readonly<Record<string, number | null>>): ProtoMessage {
  const kept: Record<string, number> = {}
  for (const name of RESOURCE_NAMES) {
    const value = of[name]
    if (value !== null && value !== undefined) kept[name] = value
  }
  return kept
}

export function healthReport(of: ProtoMessage): HealthReport {
  const resources = proto.optionalMessage(of, 'resources')
  const disabled = proto.texts(of, 'disabled_features')
  const multiplier = proto.number(of, 'timeout_multiplier')
  return {
    agentId: proto.text(of, 'agent_id'),
    state: healthState(proto.number(of, 'state')),
    message: proto.optionalText(of, 'message'),
    load: load(proto.optionalMessage(of, 'load')),
    resources: resources === undefined ? undefined : resourcesOf(resources),
    validUntilMs: proto.optionalNumber(of, 'valid_until_ms'),
    timestampMs: proto.number(of, 'timestamp_ms'),
    disabledFeatures: disabled.length === 0 ? undefined : disabled,
    timeoutMultiplier: multiplier === 0 ? undefined : multiplier,
    drainEtaMs: proto.optionalNumber(of, 'drain_eta_ms'),
    unhealthyReason: proto.optionalText(of, 'unhealthy_reason'),
    recoverable: of['recoverable'] === true ? true : undefined,
  }
}

function resourcesOf(of: ProtoMessage): Readonly<Record<string, number>> {
  const found: Record<string, number> = {}
  for (const name of RESOURCE_NAMES) {
    const value = proto.optionalNumber(of, name)
    if (value !== undefined) found[name] = value
  }
  return found
}

export function protoFlow(of: FlowSignal): ProtoMessage {
  return proto.present({
    correlation_id: of.correlationId,
    action: FLOW_ACTIONS.indexOf(of.action) + 1,
    buffer_available: of.bufferAvailable === undefined ? undefined : unsigned(of.bufferAvailable),
    timestamp_ms: unsigned(of.timestampMs),
  })
}

export function flowSignal(of: ProtoMessage): FlowSignal {
  return {
    correlationId: proto.optionalText(of, 'correlation_id'),
    action: flowAction(proto.number(of, 'action')),
    bufferAvailable: proto.optionalNumber(of, 'buffer_available'),
    timestampMs: proto.number(of, 'timestamp_ms'),
  }
}

export function protoMetrics(of: MetricsReport): ProtoMessage {
  return {
    agent_id: of.agentId,
    timestamp_ms: unsigned(of.timestampMs),
    interval_ms: unsigned(of.intervalMs),
    counters: of.counters.map((metric) => ({ ...plainSample(metric), value: unsigned(metric.value) })),
    gauges: of.gauges.map((metric) => ({ ...plainSample(metric), value: metric.value })),
    histograms: of.histograms.map((metric) => ({
      ...plainSample(metric),
      sum: metric.sum,
      count: unsigned(metric.count),
      buckets: metric.buckets.map(({ le, count }) => ({ le, count: unsigned(count) })),
    })),
  }
}

export function metricsReport(of: ProtoMessage): MetricsReport {
  return {
    agentId: proto.text(of, 'agent_id'),
    timestampMs: proto.number(of, 'timestamp_ms'),
    intervalMs: proto.number(of, 'interval_ms'),
    counters: proto.messages(of, 'counters').map((m) => ({ ...sample(m), value: proto.number(m, 'value') })),
    gauges: proto.messages(of, 'gauges').map((m) => ({ ...sample(m), value: proto.number(m, 'value') })),
    histograms: proto.messages(of, 'histograms').map((m) => ({
      ...sample(m),
      sum: proto.number(m, 'sum'),
      count: proto.number(m, 'count'),
      buckets: proto.messages(m, 'buckets').map((bucket) => ({
        le: proto.number(bucket, 'le'),
        count: proto.number(bucket, 'count'),
      })),
    })),
  }
}

function sample(of: ProtoMessage): MetricSample {
  return {
    name: proto.text(of, 'name'),
    help: proto.optionalText(of, 'help') || undefined,
    labels: proto.textMap(of, 'labels'),
  }
}

export function protoLog(of: LogMessage): ProtoMessage {
  return proto.present({
    level: LOG_LEVELS.indexOf(of.level) + 1,
    message: of.message,
    correlation_id: of.correlationId,
    fields: of.fields,
    timestamp_ms: unsigned(of.timestampMs),
  })
}

export function logMessage(of: ProtoMessage): LogMessage {
  return {
    level: LOG_LEVELS[proto.number(of, 'level') - 1] ?? 'info',
    message: proto.text(of, 'message'),
    correlationId: proto.optionalText(of, 'correlation_id'),
    fields: proto.textMap(of, 'fields'),
    timestampMs: proto.number(of, 'timestamp_ms'),
  }
}

export function protoConfigUpdate(of: ConfigUpdateRequest): ProtoMessage {
  return { request_id: of.requestId, timestamp_ms: unsigned(of.timestampMs), ...fromUpdate(of.update) }
}

function fromUpdate(of: ConfigUpdate): ProtoMessage {
  switch (of.type) {
    case 'request-reload':
      return { request_reload: {} }
    case 'rule-update':
      return {
        rule_update: {
          rule_set: of.ruleSet,
          rules: of.rules.map((rule) =>
            proto.present({
              id: rule.id,
              priority: Math.trunc(rule.priority) || 0,
              definition_json: JSON.stringify(rule.definition ?? null),
              enabled: rule.enabled,
              description: rule.description,
              tags: rule.tags,
            }),
          ),
          remove_rules: of.removeRules,
        },
      }
    case 'list-update':
      return { list_update: { list_id: of.listId, add: of.add, remove: of.remove } }
    case 'restart-required':
      return { restart_required: { reason: of.reason, grace_period_ms: unsigned(of.gracePeriodMs) } }
    case 'config-error':
      return { config_error: proto.present({ error: of.error, field: of.field }) }
  }
}

/** @throws WeirError PROTOCOL_ERROR when it names no update. */
export function configUpdateRequest(of: ProtoMessage): ConfigUpdateRequest {
  return {
    requestId: proto.text(of, 'request_id'),
    timestampMs: proto.number(of, 'timestamp_ms'),
    update: updateOf(of),
  }
}

function updateOf(of: ProtoMessage): ConfigUpdate {
  const type = of['update_type']
  const parts = typeof type === 'string' ? proto.message(of, type) : {}
  switch (type) {
    case 'request_reload':
      return { type: 'request-reload' }
    case 'rule_update':
      return {
        type: 'rule-update',
        ruleSet: proto.text(parts, 'rule_set'),
        rules: proto.messages(parts, 'rules').map((rule) => ({
          id: proto.text(rule, 'id'),
          priority: proto.number(rule, 'priority'),
          definition: proto.jsonOf(proto.text(rule, 'definition_json') || 'null', 'definition_json'),
          enabled: proto.flag(rule, 'enabled'),
          description: proto.optionalText(rule, 'description'),
          tags: proto.texts(rule, 'tags'),
        })),
        removeRules: proto.texts(parts, 'remove_rules'),
      }
    case 'list_update':
      return {
        type: 'list-update',
        listId: proto.text(parts, 'list_id'),
        add: proto.texts(parts, 'add'),
        remove: proto.texts(parts, 'remove'),
      }
    case 'restart_required':
      return {
        type: 'restart-required',
        reason: proto.text(parts, 'reason'),
        gracePeriodMs: proto.number(parts, 'grace_period_ms'),
      }
    case 'config_error':
      return {
        type: 'config-error',
        error: proto.text(parts, 'error'),
        field: proto.optionalText(parts, 'field'),
      }
    default:
      throw malformed('config_update', 'one of the five updates', type)
  }
}

/** Reasons count from 1 on gRPC; 0 and unknown ones become `manual`. */
export function cancelReason(code: number): CancelReason {
  return CANCEL_REASONS[code - 1] ?? 'manual'
}

export function cancelCode(reason: CancelReason): number {
  return CANCEL_REASONS.indexOf(reason) + 1
}

import {
  type AgentCapabilities,
  type AgentFeatures,
  type AgentLimits,
  DEFAULT_FEATURES,
  DEFAULT_HEALTH_REPORTING,
  DEFAULT_LIMITS,
  type HealthReporting,
} from '../../core/agent-messages.ts'
import { EVENT_KINDS, type EventKind } from '../../core/event.ts'
import * as field from './fields.ts'

const U32 = 0xffff_ffff

/** Missing keys take the protocol's defaults, because agents in use leave some out. */
export function capabilities(value: unknown, protocolVersion: number): AgentCapabilities {
  const of = value === undefined || value === null ? {} : field.struct(value, 'capabilities')
  const events = field.member(of, 'supported_events', 3)
  return {
    protocolVersion,
    agentId: field.textOr(field.member(of, 'agent_id', 0), '', 'capabilities.agent_id'),
    name: field.textOr(field.member(of, 'name', 1), '', 'capabilities.name'),
    version: field.textOr(field.member(of, 'version', 2), '', 'capabilities.version'),
    supportedEvents:
      events === undefined || events === null
        ? ['request-headers']
        : eventKinds(field.list(events, 'capabilities.supported_events')),
    features: features(field.member(of, 'features', 4)),
    limits: limits(field.member(of, 'limits', 5)),
    health: healthReporting(field.member(of, 'health_config', -1)),
  }
}

/** The configure event is 8, and 0 in some peers; numbers nobody knows are left out. */
export function eventKinds(codes: readonly unknown[]): EventKind[] {
  const kinds: EventKind[] = []
  for (const code of codes) {
    const kind = code === 0 ? 'configure' : typeof code === 'number' ? EVENT_KINDS[code - 1] : undefined
    if (kind !== undefined && !kinds.includes(kind)) kinds.push(kind)
  }
  return kinds
}

export function eventCodes(kinds: readonly EventKind[]): number[] {
  return kinds.map((kind) => EVENT_KINDS.indexOf(kind) + 1)
}

function features(value: unknown): AgentFeatures {
  if (value === undefined || value === null) return DEFAULT_FEATURES
  const of = field.struct(value, 'capabilities.features')
  const at = (name: string, index: number): boolean =>
    field.flagOr(field.member(of, name, index), false, `features.${name}`)
  return {
    streamingBody: at('streaming_body', 0),
    websocket: at('websocket', 1),
    guardrails: at('guardrails', 2),
    configPush: at('config_push', 3),
    metricsExport: at('metrics_export', 4),
    concurrentRequests: field.countOr(
      field.member(of, 'concurrent_requests', 5),
      0,
      'features.concurrent_requests',
    ),
    cancellation: at('cancellation', 6),
    flowControl: at('flow_control', 7),
    healthReporting: at('health_reporting', 8),
  }
}

function limits(value: unknown): AgentLimits {
  if (value === undefined || value === null) return DEFAULT_LIMITS
  const of = field.struct(value, 'capabilities.limits')
  const at = (name: string, index: number, fallback: number): number =>
    field.countOr(field.member(of, name, index), fallback, `limits.${name}`)
  return {
    maxBodySize: at('max_body_size', 0, DEFAULT_LIMITS.maxBodySize),
    maxConcurrency: at('max_concurrency', 1, DEFAULT_LIMITS.maxConcurrency),
    preferredChunkSize: at('preferred_chunk_size', 2, DEFAULT_LIMITS.preferredChunkSize),
    maxMemory: field.optionalCount(field.member(of, 'max_memory', -1), 'limits.max_memory'),
    maxProcessingTimeMs: field.optionalCount(
      field.member(of, 'max_processing_time_ms', -1),
      'limits.max_processing_time_ms',
    ),
  }
}

function healthReporting(value: unknown): HealthReporting {
  if (value === undefined || value === null) return DEFAULT_HEALTH_REPORTING
  const of = field.struct(value, 'capabilities.health_config')
  const fallback = DEFAULT_HEALTH_REPORTING
  return {
    reportIntervalMs: field.countOr(
      field.member(of, 'report_interval_ms', 0),
      fallback.reportIntervalMs,
      'health_config.report_interval_ms',
    ),
    includeLoadMetrics: field.flagOr(
      field.member(of, 'include_load_metrics', 1),
      fallback.includeLoadMetrics,
      'health_config.include_load_metrics',
    ),
    includeResourceMetrics: field.flagOr(
      field.member(of, 'include_resource_metrics', 2),
      fallback.includeResourceMetrics,
      'health_config.include_resource_metrics',
    ),
  }
}

/** Every key, because peers refuse a handshake that lacks one; u32 members are held to their range. */
export function plainCapabilities(of: AgentCapabilities): Record<string, unknown> {
  return {
    agent_id: of.agentId,
    name: of.name,
    version: of.version,
    supported_events: eventCodes(of.supportedEvents),
    features: plainFeatures(of.features),
    limits: {
      max_body_size: field.unsigned(of.limits.maxBodySize),
      max_concurrency: unsigned32(of.limits.maxConcurrency),
      preferred_chunk_size: field.unsigned(of.limits.preferredChunkSize),
      /* Keys of gRPC's form of it, which peers on frames skip. */
      ...(of.limits.maxMemory === undefined ? {} : { max_memory: field.unsigned(of.limits.maxMemory) }),
      ...(of.limits.maxProcessingTimeMs === undefined
        ? {}
        : { max_processing_time_ms: field.unsigned(of.limits.maxProcessingTimeMs) }),
    },
    health_config: plainHealthReporting(of.health),
  }
}

export function plainFeatures(of: AgentFeatures): Record<string, unknown> {
  return {
    streaming_body: of.streamingBody,
    websocket: of.websocket,
    guardrails: of.guardrails,
    config_push: of.configPush,
    metrics_export: of.metricsExport,
    concurrent_requests: unsigned32(of.concurrentRequests),
    cancellation: of.cancellation,
    flow_control: of.flowControl,
    health_reporting: of.healthReporting,
  }
}

export function plainHealthReporting(of: HealthReporting): Record<string, unknown> {
  return {
    report_interval_ms: unsigned32(of.reportIntervalMs),
    include_load_metrics: of.includeLoadMetrics,
    include_resource_metrics: of.includeResourceMetrics,
  }
}

export function unsigned32(value: number): number {
  return Math.min(field.unsigned(value), U32)
}

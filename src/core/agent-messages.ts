import type { EventKind } from './event.ts'

/** What an agent tells of itself when a connection is made. */
export interface AgentCapabilities {
  readonly protocolVersion: number
  readonly agentId: string
  readonly name: string
  readonly version: string
  /** Advisory: events that the operator configured are sent even when absent here. */
  readonly supportedEvents: readonly EventKind[]
  readonly features: AgentFeatures
  readonly limits: AgentLimits
  readonly health: HealthReporting
}

export interface AgentFeatures {
  readonly streamingBody: boolean
  readonly websocket: boolean
  readonly guardrails: boolean
  readonly configPush: boolean
  readonly metricsExport: boolean
  /** Events at once on one connection; 0 means not stated. */
  readonly concurrentRequests: number
  readonly cancellation: boolean
  readonly flowControl: boolean
  readonly healthReporting: boolean
}

export interface AgentLimits {
  /** Bytes. */
  readonly maxBodySize: number
  /** Events at once; 0 means not stated. */
  readonly maxConcurrency: number
  /** Bytes. */
  readonly preferredChunkSize: number
  readonly maxMemory?: number | undefined
  readonly maxProcessingTimeMs?: number | undefined
}

export interface HealthReporting {
  readonly reportIntervalMs: number
  readonly includeLoadMetrics: boolean
  readonly includeResourceMetrics: boolean
}

/** Defaults of the protocol for whatever a peer leaves out. */
export const DEFAULT_FEATURES: AgentFeatures = Object.freeze({
  streamingBody: false,
  websocket: false,
  guardrails: false,
  configPush: false,
  metricsExport: false,
  concurrentRequests: 0,
  cancellation: false,
  flowControl: false,
  healthReporting: false,
})
export const DEFAULT_LIMITS: AgentLimits = Object.freeze({
  maxBodySize: 10 * 1024 * 1024,
  maxConcurrency: 100,
  preferredChunkSize: 64 * 1024,
  maxProcessingTimeMs: 5000,
})
/**
 * Bytes of one body that an agent says it takes; Infinity when it says nothing. Agents that never thought of a limit
 * announce the default of the protocol, or 0, and enforce neither.
 */
export function statedBodyLimit({ maxBodySize }: AgentLimits): number {
  const isStated = maxBodySize !== 0 && maxBodySize !== DEFAULT_LIMITS.maxBodySize
  return isStated ? maxBodySize : Number.POSITIVE_INFINITY
}
export const DEFAULT_HEALTH_REPORTING: HealthReporting = Object.freeze({
  reportIntervalMs: 10_000,
  includeLoadMetrics: true,
  includeResourceMetrics: false,
})

export type HealthState = 'healthy' | 'degraded' | 'draining' | 'unhealthy'

export interface HealthReport {
  readonly agentId: string
  readonly state: HealthState
  readonly message?: string | undefined
  readonly load?: LoadMetrics | undefined
  readonly resources?: Readonly<Record<string, number>> | undefined
  /** The report says nothing after this Unix epoch instant, milliseconds. */
  readonly validUntilMs?: number | undefined
  readonly timestampMs: number
  readonly disabledFeatures?: readonly string[] | undefined
  /** `degraded` only: multiply deadlines by this. */
  readonly timeoutMultiplier?: number | undefined
  readonly drainEtaMs?: number | undefined
  readonly unhealthyReason?: string | undefined
  readonly recoverable?: boolean | undefined
}

export interface LoadMetrics {
  readonly inFlight: number
  readonly queueDepth: number
  readonly avgLatencyMs: number
  readonly p50LatencyMs: number
  readonly p95LatencyMs: number
  readonly p99LatencyMs: number
  readonly requestsProcessed: number
  readonly requestsRejected: number
  readonly requestsTimedOut: number
}

export interface FlowSignal {
  /** Absent: the whole connection. Present: only the body of that request. */
  readonly correlationId?: string | undefined
  readonly action: 'pause' | 'resume' | 'update-capacity'
  /** Bytes. */
  readonly bufferAvailable?: number | undefined
  readonly timestampMs: number
}

export interface MetricSample {
  readonly name: string
  readonly help?: string | undefined
  readonly labels: Readonly<Record<string, string>>
}
export interface MetricsReport {
  /** As the agent claims it; the pool puts its own name in its place. */
  readonly agentId: string
  readonly timestampMs: number
  readonly intervalMs: number
  readonly counters: readonly (MetricSample & { readonly value: number })[]
  readonly gauges: readonly (MetricSample & { readonly value: number })[]
  readonly histograms: readonly (MetricSample & {
    readonly sum: number
    readonly count: number
    /** `le` may be Infinity. */
    readonly buckets: readonly { readonly le: number; readonly count: number }[]
  })[]
}

export interface LogMessage {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly message: string
  readonly correlationId?: string | undefined
  readonly fields: Readonly<Record<string, string>>
  readonly timestampMs: number
}

export interface RuleDefinition {
  readonly id: string
  readonly priority: number
  readonly definition: unknown
  readonly enabled: boolean
  readonly description?: string | undefined
  readonly tags: readonly string[]
}
export type ConfigUpdate =
  | { readonly type: 'request-reload' }
  | {
      readonly type: 'rule-update'
      readonly ruleSet: string
      readonly rules: readonly RuleDefinition[]
      readonly removeRules: readonly string[]
    }
  | {
      readonly type: 'list-update'
      readonly listId: string
      readonly add: readonly string[]
      readonly remove: readonly string[]
    }
  | { readonly type: 'restart-required'; readonly reason: string; readonly gracePeriodMs: number }
  | { readonly type: 'config-error'; readonly error: string; readonly field?: string | undefined }
export interface ConfigUpdateRequest {
  readonly requestId: string
  readonly timestampMs: number
  readonly update: ConfigUpdate
}

/** In the order of the numbers that Unix-socket cancels use (0 to 5); gRPC counts from 1. */
export const CANCEL_REASONS = [
  'client-disconnect',
  'timeout',
  'blocked-by-agent',
  'upstream-error',
  'proxy-shutdown',
  'manual',
] as const
export type CancelReason = (typeof CANCEL_REASONS)[number]

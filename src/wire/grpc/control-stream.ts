import type {
  ConfigUpdateRequest,
  HealthReport,
  LogMessage,
  MetricsReport,
} from '../../core/agent-messages.ts'
import { unsigned } from '../shape/fields.ts'
import {
  configUpdateRequest,
  healthReport,
  logMessage,
  metricsReport,
  protoConfigUpdate,
  protoHealth,
  protoLog,
  protoMetrics,
} from './proto-control.ts'
import * as proto from './proto-fields.ts'
import { undecodable } from './read-agent-message.ts'
import { AgentControl, type ProtoMessage, ProxyControl } from './service.ts'

/* ControlStream carries one message per gRPC message, read and written without the prefix. */

/** What the caller of ControlStream sends. */
export type AgentControlMessage =
  | { readonly kind: 'health'; readonly report: HealthReport }
  | { readonly kind: 'metrics'; readonly report: MetricsReport }
  | { readonly kind: 'config-update'; readonly request: ConfigUpdateRequest }
  | { readonly kind: 'log'; readonly message: LogMessage }

export const SHUTDOWN_REASONS = ['graceful', 'immediate', 'config-reload', 'upgrade'] as const
export const DRAIN_REASONS = ['config-reload', 'maintenance', 'health-check-failed', 'manual'] as const

/** What is answered on ControlStream. */
export type ProxyControlMessage =
  | {
      readonly kind: 'configure'
      /** Any JSON value; `{}` without a version is a keep-alive. */
      readonly config: unknown
      readonly configVersion?: string | undefined
      readonly isInitial: boolean
      readonly timestampMs: number
    }
  | {
      readonly kind: 'shutdown'
      readonly reason: (typeof SHUTDOWN_REASONS)[number]
      readonly gracePeriodMs: number
      readonly timestampMs: number
    }
  | {
      readonly kind: 'drain'
      readonly reason: (typeof DRAIN_REASONS)[number]
      readonly durationMs: number
      readonly timestampMs: number
    }
  | {
      readonly kind: 'config-response'
      readonly requestId: string
      readonly accepted: boolean
      readonly error?: string | undefined
      readonly timestampMs: number
    }

export function encodeAgentControl(of: AgentControlMessage): Buffer {
  switch (of.kind) {
    case 'health':
      return AgentControl.encode({ health: protoHealth(of.report) })
    case 'metrics':
      return AgentControl.encode({ metrics: protoMetrics(of.report) })
    case 'config-update':
      return AgentControl.encode({ config_update: protoConfigUpdate(of.request) })
    case 'log':
      return AgentControl.encode({ log: protoLog(of.message) })
  }
}

/** `undefined` for a message without a known member. @throws WeirError PROTOCOL_ERROR */
export function decodeAgentControl(payload: Buffer): AgentControlMessage | undefined {
  const decoded = decode(AgentControl, 'AgentControl', payload)
  const name = decoded['message']
  switch (name) {
    case 'health':
      return { kind: 'health', report: healthReport(proto.message(decoded, name)) }
    case 'metrics':
      return { kind: 'metrics', report: metricsReport(proto.message(decoded, name)) }
    case 'config_update':
      return { kind: 'config-update', request: configUpdateRequest(proto.message(decoded, name)) }
    case 'log':
      return { kind: 'log', message: logMessage(proto.message(decoded, name)) }
    default:
      return undefined
  }
}

export function encodeProxyControl(of: ProxyControlMessage): Buffer {
  const timestamp_ms = unsigned(of.timestampMs)
  switch (of.kind) {
    case 'configure':
      return ProxyControl.encode({
        configure: proto.present({
          config_json: JSON.stringify(of.config ?? null),
          config_version: of.configVersion,
          is_initial: of.isInitial,
          timestamp_ms,
        }),
      })
    case 'shutdown': {
      const reason = SHUTDOWN_REASONS.indexOf(of.reason) + 1
      return ProxyControl.encode({
        shutdown: { reason, grace_period_ms: unsigned(of.gracePeriodMs), timestamp_ms },
      })
    }
    case 'drain': {
      const reason = DRAIN_REASONS.indexOf(of.reason) + 1
      return ProxyControl.encode({ drain: { reason, duration_ms: unsigned(of.durationMs), timestamp_ms } })
    }
    case 'config-response':
      return ProxyControl.encode({
        config_response: proto.present({
          request_id: of.requestId,
          accepted: of.accepted,
          error: of.error,
          timestamp_ms,
        }),
      })
  }
}

/** `undefined` for a message without a known member. @throws WeirError PROTOCOL_ERROR */
export function decodeProxyControl(payload: Buffer): ProxyControlMessage | undefined {
  const decoded = decode(ProxyControl, 'ProxyControl', payload)
  const name = decoded['message']
  const of = typeof name === 'string' ? proto.message(decoded, name) : {}
  const timestampMs = proto.number(of, 'timestamp_ms')
  switch (name) {
    case 'configure':
      return {
        kind: 'configure',
        config: proto.jsonOf(proto.text(of, 'config_json') || 'null', 'config_json'),
        configVersion: proto.optionalText(of, 'config_version'),
        isInitial: proto.flag(of, 'is_initial'),
        timestampMs,
      }
    case 'shutdown':
      return {
        kind: 'shutdown',
        reason: SHUTDOWN_REASONS[proto.number(of, 'reason') - 1] ?? 'graceful',
        gracePeriodMs: proto.number(of, 'grace_period_ms'),
        timestampMs,
      }
    case 'drain':
      return {
        kind: 'drain',
        reason: DRAIN_REASONS[proto.number(of, 'reason') - 1] ?? 'manual',
        durationMs: proto.number(of, 'duration_ms'),
        timestampMs,
      }
    case 'config_response':
      return {
        kind: 'config-response',
        requestId: proto.text(of, 'request_id'),
        accepted: proto.flag(of, 'accepted'),
        error: proto.optionalText(of, 'error'),
        timestampMs,
      }
    default:
      return undefined
  }
}

function decode(code: typeof AgentControl, what: string, payload: Buffer): ProtoMessage {
  try {
    return code.decode(payload)
  } catch (thrown) {
    throw undecodable(what, thrown)
  }
}

import type {
  CancelReason,
  ConfigUpdateRequest,
  FlowSignal,
  HealthReport,
  LogMessage,
  MetricsReport,
} from '../../core/agent-messages.ts'
import type { AgentEvent } from '../../core/event.ts'
import type { AgentReply } from '../../core/reply.ts'
import type { HandshakeRequest, HandshakeResponse } from '../codec.ts'
import { unsigned } from '../shape/fields.ts'
import { unwritable } from '../write-errors.ts'
import {
  cancelCode,
  protoConfigUpdate,
  protoFlow,
  protoHealth,
  protoLog,
  protoMetrics,
} from './proto-control.ts'
import { protoEvent } from './proto-events.ts'
import { present } from './proto-fields.ts'
import { protoHandshakeRequest, protoHandshakeResponse } from './proto-handshake.ts'
import { protoReply } from './proto-replies.ts'
import { AgentToProxy, type ProtoMessage, ProxyToAgent } from './service.ts'

/*
 * One message each, without the 5-byte prefix: what a gRPC library with pass-through serializers sends. All throw
 * WeirError INVALID_ARGUMENT, `sent: false`, when the message cannot be encoded.
 */

function encoded(build: () => ProtoMessage, code: { encode(message: ProtoMessage): Buffer }): Buffer {
  try {
    return code.encode(build())
  } catch (thrown) {
    throw unwritable(thrown)
  }
}

export function encodeHandshake(request: HandshakeRequest): Buffer {
  return encoded(() => ({ handshake: protoHandshakeRequest(request) }), ProxyToAgent)
}

/** `nowMs`: Unix epoch milliseconds, for events that carry the instant of sending. */
export function encodeEvent(event: AgentEvent, nowMs: number): Buffer {
  return encoded(() => protoEvent(event, nowMs), ProxyToAgent)
}

export function encodeCancel(correlationId: string, reason: CancelReason, timestampMs: number): Buffer {
  const cancel = {
    correlation_id: correlationId,
    reason: cancelCode(reason),
    timestamp_ms: unsigned(timestampMs),
  }
  return encoded(() => ({ cancel }), ProxyToAgent)
}

export function encodePing(sequence: number, timestampMs: number): Buffer {
  const ping = { sequence: nonZero(sequence), timestamp_ms: nonZero(timestampMs) }
  return encoded(() => ({ ping: present(ping) }), ProxyToAgent)
}

export function encodeHandshakeResponse(response: HandshakeResponse): Buffer {
  return encoded(() => ({ handshake: protoHandshakeResponse(response) }), AgentToProxy)
}

export function encodeReply(reply: AgentReply): Buffer {
  return encoded(() => ({ response: protoReply(reply) }), AgentToProxy)
}

export function encodeHealth(report: HealthReport): Buffer {
  return encoded(() => ({ health: protoHealth(report) }), AgentToProxy)
}

export function encodeMetrics(report: MetricsReport): Buffer {
  return encoded(() => ({ metrics: protoMetrics(report) }), AgentToProxy)
}

export function encodeConfigUpdate(request: ConfigUpdateRequest): Buffer {
  return encoded(() => ({ config_update: protoConfigUpdate(request) }), AgentToProxy)
}

export function encodeFlow(signal: FlowSignal): Buffer {
  return encoded(() => ({ flow_control: protoFlow(signal) }), AgentToProxy)
}

export function encodeLog(message: LogMessage): Buffer {
  return encoded(() => ({ log: protoLog(message) }), AgentToProxy)
}

export function encodePong(sequence: number, pingTimestampMs: number, timestampMs: number): Buffer {
  const pong = {
    sequence: nonZero(sequence),
    ping_timestamp_ms: nonZero(pingTimestampMs),
    timestamp_ms: nonZero(timestampMs),
  }
  return encoded(() => ({ pong: present(pong) }), AgentToProxy)
}

/** Generated code writes what is set, zeros too, which proto3 leaves out. */
function nonZero(value: number): number | undefined {
  return unsigned(value) || undefined
}

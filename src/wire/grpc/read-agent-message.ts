import { WeirError } from '../../core/errors.ts'
import type { AgentMessageSink } from '../codec.ts'
import { malformed } from '../shape/fields.ts'
import { firstFieldNumber } from './field-number.ts'
import { configUpdateRequest, flowSignal, healthReport, logMessage, metricsReport } from './proto-control.ts'
import * as proto from './proto-fields.ts'
import { handshakeResponse } from './proto-handshake.ts'
import { agentReply } from './proto-replies.ts'
import { readReplyProto } from './read-frequent-replies.ts'
import { salvageId } from './salvage.ts'
import { AgentToProxy, type ProtoMessage } from './service.ts'

const HANDSHAKE_FIELD = 1
const RESPONSE_FIELD = 2
const LAST_FIELD = 8

const RESPONSE_TAG = 0x12

/**
 * Reads the `AgentToProxy` message in `bytes[start..end)`, which has no prefix, and tells the sink. Messages without
 * a known member are ignored.
 * @throws WeirError PROTOCOL_ERROR when it is no such message at all, or a broken handshake.
 */
export function readAgentMessage(bytes: Buffer, start: number, end: number, sink: AgentMessageSink): void {
  if (start < end && bytes[start] === RESPONSE_TAG) {
    const reply = readReplyProto(bytes, start + 1, end)
    if (reply !== null) {
      sink.onReply(reply)
      return
    }
  }
  const payload = bytes.subarray(start, end)
  let decoded: ProtoMessage
  try {
    decoded = AgentToProxy.decode(payload)
  } catch (thrown) {
    broken(payload, thrown, sink)
    return
  }
  const name = decoded['message']
  switch (name) {
    case 'response':
      readReply(proto.message(decoded, name), sink)
      return
    case 'handshake':
      sink.onHandshakeResponse(handshakeResponse(proto.message(decoded, name)))
      return
    case 'pong':
      sink.onPong(proto.number(proto.message(decoded, name), 'sequence'))
      return
    case 'health':
    case 'metrics':
    case 'config_update':
    case 'flow_control':
    case 'log':
      readControl(name, proto.message(decoded, name), sink)
      return
    default:
  }
}

function readReply(of: ProtoMessage, sink: AgentMessageSink): void {
  let reply: ReturnType<typeof agentReply>
  try {
    reply = agentReply(of)
  } catch (thrown) {
    sink.onMalformedReply(proto.text(of, 'correlation_id'), WeirError.from(thrown, 'PROTOCOL_ERROR'))
    return
  }
  sink.onReply(reply)
}

type ControlName = 'health' | 'metrics' | 'config_update' | 'flow_control' | 'log'

function readControl(name: ControlName, of: ProtoMessage, sink: AgentMessageSink): void {
  let deliver: () => void
  try {
    deliver = control(name, of, sink)
  } catch (thrown) {
    sink.onMalformedControl(WeirError.from(thrown, 'PROTOCOL_ERROR'))
    return
  }
  deliver()
}

/** Decodes now and delivers later, so that a sink that throws is not taken for a malformed message. */
function control(name: ControlName, of: ProtoMessage, sink: AgentMessageSink): () => void {
  switch (name) {
    case 'health': {
      const report = healthReport(of)
      return () => sink.onHealth(report)
    }
    case 'metrics': {
      const report = metricsReport(of)
      return () => sink.onMetrics(report)
    }
    case 'config_update': {
      const request = configUpdateRequest(of)
      return () => sink.onConfigUpdate(request)
    }
    case 'flow_control': {
      const signal = flowSignal(of)
      return () => sink.onFlow(signal)
    }
    case 'log': {
      const message = logMessage(of)
      return () => sink.onLog(message)
    }
  }
}

function broken(payload: Buffer, thrown: unknown, sink: AgentMessageSink): void {
  const field = firstFieldNumber(payload, 0, payload.length)
  const error = undecodable('AgentToProxy', thrown)
  if (field === RESPONSE_FIELD) sink.onMalformedReply(salvageId(payload, false), error)
  else if (field > HANDSHAKE_FIELD && field <= LAST_FIELD) sink.onMalformedControl(error)
  else throw error
}

/** What the loader's decoder threw, in our words. */
export function undecodable(what: string, thrown: unknown): WeirError {
  const reason = thrown instanceof Error ? thrown.message : String(thrown)
  return malformed(what, `a protobuf message (${reason})`, thrown)
}

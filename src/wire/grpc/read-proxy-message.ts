import type { Clock } from '../../core/clock.ts'
import { WeirError } from '../../core/errors.ts'
import type { AgentEvent } from '../../core/event.ts'
import type { ProxyMessageSink } from '../codec.ts'
import { encodePong } from './encode.ts'
import { firstFieldNumber } from './field-number.ts'
import { appendMessage, DEFAULT_MAX_SEND_BYTES } from './framing.ts'
import { cancelReason } from './proto-control.ts'
import * as events from './proto-events.ts'
import * as proto from './proto-fields.ts'
import { handshakeRequest } from './proto-handshake.ts'
import { undecodable } from './read-agent-message.ts'
import { readBodyChunkProto, readRequestHeadersProto } from './read-frequent-events.ts'
import { salvageId } from './salvage.ts'
import { type ProtoMessage, ProxyToAgent } from './service.ts'

const REQUEST_HEADERS_TAG = 0x12
const REQUEST_CHUNK_TAG = 0x1a
const RESPONSE_CHUNK_TAG = 0x2a

/**
 * Reads the `ProxyToAgent` message in `bytes[start..end)`, which has no prefix, and tells the sink. Messages without
 * a known member are ignored. `clock` dates the answer to a ping.
 * @throws WeirError PROTOCOL_ERROR when it is no such message at all, or a broken handshake.
 */
export function readProxyMessage(
  bytes: Buffer,
  start: number,
  end: number,
  sink: ProxyMessageSink,
  clock: Clock,
): void {
  const event = frequentEvent(bytes, start, end)
  if (event !== null) {
    sink.onEvent(event)
    return
  }
  const payload = bytes.subarray(start, end)
  let decoded: ProtoMessage
  try {
    decoded = ProxyToAgent.decode(payload)
  } catch (thrown) {
    broken(payload, thrown, sink)
    return
  }
  const name = decoded['message']
  switch (name) {
    case 'request_headers':
    case 'request_body_chunk':
    case 'response_headers':
    case 'response_body_chunk':
    case 'websocket_frame':
    case 'guardrail':
    case 'request_complete':
    case 'configure':
      readEvent(name, proto.message(decoded, name), sink)
      return
    case 'handshake':
      sink.onHandshake(handshakeRequest(proto.message(decoded, name)))
      return
    case 'cancel': {
      const of = proto.message(decoded, name)
      sink.onCancel(proto.text(of, 'correlation_id'), cancelReason(proto.number(of, 'reason')))
      return
    }
    case 'ping': {
      const of = proto.message(decoded, name)
      const sequence = proto.number(of, 'sequence')
      const pingMs = proto.number(of, 'timestamp_ms')
      sink.onPing((out) =>
        appendMessage(encodePong(sequence, pingMs, clock.wallMs()), DEFAULT_MAX_SEND_BYTES, out),
      )
      return
    }
    default:
  }
}

/** Null for rare messages and for whatever the fast readers do not know. */
function frequentEvent(bytes: Buffer, start: number, end: number): AgentEvent | null {
  if (start >= end) return null
  switch (bytes[start]) {
    case REQUEST_HEADERS_TAG:
      return readRequestHeadersProto(bytes, start + 1, end)
    case REQUEST_CHUNK_TAG:
      return readBodyChunkProto('request-body-chunk', bytes, start + 1, end)
    case RESPONSE_CHUNK_TAG:
      return readBodyChunkProto('response-body-chunk', bytes, start + 1, end)
    default:
      return null
  }
}

type EventName =
  | 'request_headers'
  | 'request_body_chunk'
  | 'response_headers'
  | 'response_body_chunk'
  | 'websocket_frame'
  | 'guardrail'
  | 'request_complete'
  | 'configure'

function readEvent(name: EventName, of: ProtoMessage, sink: ProxyMessageSink): void {
  let event: AgentEvent
  try {
    event = eventOf(name, of)
  } catch (thrown) {
    const owner = name === 'request_headers' ? proto.message(of, 'metadata') : of
    sink.onMalformedEvent(proto.text(owner, 'correlation_id'), WeirError.from(thrown, 'PROTOCOL_ERROR'))
    return
  }
  sink.onEvent(event)
}

function eventOf(name: EventName, of: ProtoMessage): AgentEvent {
  switch (name) {
    case 'request_headers':
      return events.requestHeaders(of)
    case 'request_body_chunk':
      return events.bodyChunk('request-body-chunk', of)
    case 'response_headers':
      return events.responseHeaders(of)
    case 'response_body_chunk':
      return events.bodyChunk('response-body-chunk', of)
    case 'websocket_frame':
      return events.webSocketFrame(of)
    case 'guardrail':
      return events.guardrailInspect(of)
    case 'request_complete':
      return events.requestComplete(of)
    case 'configure':
      return events.configure(of)
  }
}

const HANDSHAKE_FIELD = 1
const REQUEST_HEADERS_FIELD = 2
const CANCEL_FIELD = 9
const PING_FIELD = 11

/** A cancel is advisory and a broken ping has nothing to echo, so both are dropped. */
function broken(payload: Buffer, thrown: unknown, sink: ProxyMessageSink): void {
  const field = firstFieldNumber(payload, 0, payload.length)
  if (field === CANCEL_FIELD || field === PING_FIELD) return
  const error = undecodable('ProxyToAgent', thrown)
  if (field > HANDSHAKE_FIELD && field < PING_FIELD)
    sink.onMalformedEvent(salvageId(payload, field === REQUEST_HEADERS_FIELD), error)
  else throw error
}

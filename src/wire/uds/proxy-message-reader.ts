import { WeirError } from '../../core/errors.ts'
import type { AgentEvent } from '../../core/event.ts'
import type { ByteWriter } from '../byte-writer.ts'
import type { Encoding, FrameLimits, MessageReader, ProxyMessageSink, SwitchableEncoding } from '../codec.ts'
import { type Cancel, cancel } from '../shape/cancel.ts'
import * as events from '../shape/events.ts'
import { handshakeRequest, registrationResponse } from '../shape/handshake.ts'
import { FrameSplitter } from '../splitter.ts'
import { FRAME, FRAME_HEAD_BYTES, MAX_PAYLOAD_BYTES, UDS_FRAMING } from './frame.ts'
import { readBodyChunkJson, readRequestHeadersJson } from './json-read-events.ts'
import { parseJson } from './json-text.ts'
import { readBodyChunkMsgpack, readRequestHeadersMsgpack } from './msgpack-read-events.ts'
import { parseControl, parsePayload } from './payload.ts'
import { salvageId } from './salvage.ts'

/** Reads what proxies send. Types that proxies do not send, and unknown ones, are skipped by their length. */
export function proxyMessageReader(
  sink: ProxyMessageSink,
  chosen: Pick<SwitchableEncoding, 'encoding'>,
  limits: FrameLimits,
): MessageReader {
  const limit = Math.min(limits.maxPayloadBytes ?? MAX_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES)
  let isConfigured = false

  return new FrameSplitter(UDS_FRAMING, limit, (bytes, frameStart, end) => {
    const type = bytes[frameStart + 4]!
    const start = frameStart + FRAME_HEAD_BYTES
    switch (type) {
      case FRAME.requestHeaders:
      case FRAME.requestBodyChunk:
      case FRAME.responseHeaders:
      case FRAME.responseBodyChunk:
      case FRAME.requestComplete:
      case FRAME.webSocketFrame:
      case FRAME.guardrailInspect:
      case FRAME.configure:
        readEvent(type, bytes, start, end)
        return
      case FRAME.cancel:
        readCancel(bytes, start, end)
        return
      case FRAME.ping: {
        const frame = Buffer.from(bytes.subarray(frameStart, end))
        frame[4] = FRAME.pong
        sink.onPing((out) => append(frame, out))
        return
      }
      case FRAME.handshakeRequest:
        sink.onHandshake(handshakeRequest(parseJson(bytes, start, end)))
        return
      case FRAME.handshakeResponse:
        sink.onRegistrationResponse(registrationResponse(parseJson(bytes, start, end)))
        return
      default:
    }
  })

  function readEvent(type: EventType, bytes: Buffer, start: number, end: number): void {
    let event: AgentEvent
    try {
      event =
        frequentEvent(type, chosen.encoding, bytes, start, end) ??
        eventOf(type, parsePayload(chosen.encoding, bytes, start, end), !isConfigured)
    } catch (thrown) {
      const id = salvageId(chosen.encoding, bytes, start, end)
      sink.onMalformedEvent(id, WeirError.from(thrown, 'PROTOCOL_ERROR'))
      return
    }
    if (event.kind === 'configure') isConfigured = true
    sink.onEvent(event)
  }

  /** A cancel is advisory and has no answer, so one that cannot be read is dropped. */
  function readCancel(bytes: Buffer, start: number, end: number): void {
    let found: Cancel
    try {
      found = cancel(parseControl(chosen.encoding, bytes, start, end))
    } catch {
      return
    }
    sink.onCancel(found.correlationId, found.reason)
  }
}

type EventType = (typeof FRAME)[
  | 'requestHeaders'
  | 'requestBodyChunk'
  | 'responseHeaders'
  | 'responseBodyChunk'
  | 'requestComplete'
  | 'webSocketFrame'
  | 'guardrailInspect'
  | 'configure']

/** Null for rare types and for layouts that the fast readers do not know. */
function frequentEvent(
  type: EventType,
  encoding: Encoding,
  bytes: Buffer,
  start: number,
  end: number,
): AgentEvent | null {
  const isJson = encoding === 'json'
  if (type === FRAME.requestHeaders) {
    return isJson ? readRequestHeadersJson(bytes, start, end) : readRequestHeadersMsgpack(bytes, start, end)
  }
  if (type !== FRAME.requestBodyChunk && type !== FRAME.responseBodyChunk) return null
  const kind = type === FRAME.requestBodyChunk ? 'request-body-chunk' : 'response-body-chunk'
  return isJson ? readBodyChunkJson(kind, bytes, start, end) : readBodyChunkMsgpack(kind, bytes, start, end)
}

function eventOf(type: EventType, plain: unknown, isInitial: boolean): AgentEvent {
  switch (type) {
    case FRAME.requestHeaders:
      return events.requestHeaders(plain)
    case FRAME.requestBodyChunk:
      return events.bodyChunk('request-body-chunk', plain)
    case FRAME.responseHeaders:
      return events.responseHeaders(plain)
    case FRAME.responseBodyChunk:
      return events.bodyChunk('response-body-chunk', plain)
    case FRAME.requestComplete:
      return events.requestComplete(plain)
    case FRAME.webSocketFrame:
      return events.webSocketFrame(plain)
    case FRAME.guardrailInspect:
      return events.guardrailInspect(plain)
    case FRAME.configure:
      return events.configure(plain, isInitial)
  }
}

function append(frame: Buffer, out: ByteWriter): void {
  out.reserve(frame.length)
  frame.copy(out.bytes, out.end)
  out.end += frame.length
}

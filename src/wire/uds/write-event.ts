import type { AgentEvent, EventKind } from '../../core/event.ts'
import { base64Length } from '../base64.ts'
import type { ByteWriter } from '../byte-writer.ts'
import type { Encoding } from '../codec.ts'
import { plainEvent } from '../shape/plain-events.ts'
import { tooLarge, unwritable } from '../write-errors.ts'
import { FRAME } from './frame.ts'
import { writeBodyChunkJson, writeRequestHeadersJson, writeResponseHeadersJson } from './json-events.ts'
import { writeJson } from './json-text.ts'
import {
  writeBodyChunkMsgpack,
  writeRequestHeadersMsgpack,
  writeResponseHeadersMsgpack,
} from './msgpack-events.ts'
import { writeMsgpack } from './msgpack-write.ts'
import { beginFrame, endFrame } from './write-frame.ts'

const FRAME_OF_EVENT: Readonly<Record<EventKind, number>> = {
  'request-headers': FRAME.requestHeaders,
  'request-body-chunk': FRAME.requestBodyChunk,
  'response-headers': FRAME.responseHeaders,
  'response-body-chunk': FRAME.responseBodyChunk,
  'request-complete': FRAME.requestComplete,
  'websocket-frame': FRAME.webSocketFrame,
  'guardrail-inspect': FRAME.guardrailInspect,
  configure: FRAME.configure,
}

/** Appends one event's frame. @throws WeirError with `sent: false`; `out` is then as before. */
export function writeEventFrame(
  event: AgentEvent,
  encoding: Encoding,
  rawBodies: boolean,
  maxPayloadBytes: number,
  out: ByteWriter,
): void {
  const start = beginFrame(out)
  try {
    if (encoding === 'json') writeEventJson(event, maxPayloadBytes, out)
    else writeEventMsgpack(event, rawBodies, maxPayloadBytes, out)
    endFrame(out, start, FRAME_OF_EVENT[event.kind], maxPayloadBytes)
  } catch (thrown) {
    out.rewind(start)
    throw unwritable(thrown)
  }
}

function writeEventJson(event: AgentEvent, maxPayloadBytes: number, out: ByteWriter): void {
  switch (event.kind) {
    case 'request-headers':
      writeRequestHeadersJson(event, out)
      return
    case 'response-headers':
      writeResponseHeadersJson(event, out)
      return
    case 'request-body-chunk':
    case 'response-body-chunk':
      checkData(event.data, maxPayloadBytes)
      writeBodyChunkJson(event, out)
      return
    case 'websocket-frame':
      checkData(event.data, maxPayloadBytes)
      writeJson(plainEvent(event), out)
      return
    case 'request-complete':
    case 'guardrail-inspect':
    case 'configure':
      writeJson(plainEvent(event), out)
  }
}

function writeEventMsgpack(
  event: AgentEvent,
  rawBodies: boolean,
  maxPayloadBytes: number,
  out: ByteWriter,
): void {
  switch (event.kind) {
    case 'request-headers':
      writeRequestHeadersMsgpack(event, out)
      return
    case 'response-headers':
      writeResponseHeadersMsgpack(event, out)
      return
    case 'request-body-chunk':
    case 'response-body-chunk':
      checkData(event.data, maxPayloadBytes, rawBodies)
      writeBodyChunkMsgpack(event, rawBodies, out)
      return
    case 'websocket-frame':
      checkData(event.data, maxPayloadBytes)
      writeMsgpack(plainEvent(event), out)
      return
    case 'request-complete':
    case 'guardrail-inspect':
    case 'configure':
      writeMsgpack(plainEvent(event), out)
  }
}

/** Before the buffer grows for data that cannot be sent anyway. */
function checkData(data: Uint8Array, maxPayloadBytes: number, isRaw = false): void {
  const length = isRaw ? data.length : base64Length(data.length)
  if (length > maxPayloadBytes) throw tooLarge(length, maxPayloadBytes)
}

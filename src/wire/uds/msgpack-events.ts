import type {
  BodyChunkEvent,
  HeaderList,
  RequestHeadersEvent,
  ResponseHeadersEvent,
} from '../../core/event.ts'
import { base64Length, writeBase64 } from '../base64.ts'
import type { ByteWriter } from '../byte-writer.ts'
import { putRun } from '../runs.ts'
import { unsigned } from '../shape/fields.ts'
import { countRuns, endOfRun, inRuns, joinedTexts } from '../shape/header-runs.ts'
import { timestampText } from '../shape/timestamp.ts'
import * as key from './msgpack-keys.ts'
import {
  begin,
  beginStaged,
  endStaged,
  HEAD_BYTES,
  headBytes,
  putLength,
  putMember,
  putStaged,
  putStagedMember,
  putTextHead,
  putUnsigned,
  skipStaged,
} from './msgpack-put.ts'

/* The frequent events, written straight into the connection's buffer: string-keyed maps, each key once. */

const MAP_OF_3 = 0x83
const MAP_OF_5 = 0x85
const MAP_OF_6 = 0x86
const METADATA_MAP = 0x8b
const METADATA_MAP_WITH_TRACE = 0x8c
const START_OF_REQUEST = key.joined(MAP_OF_5, key.ID_KEY)
const START_OF_RESPONSE = key.joined(MAP_OF_3, key.ID_KEY)
const START_OF_CHUNK = key.joined(MAP_OF_6, key.ID_KEY)
const METADATA = key.joined(key.METADATA_KEY, METADATA_MAP, key.ID_KEY)
const METADATA_WITH_TRACE = key.joined(key.METADATA_KEY, METADATA_MAP_WITH_TRACE, key.ID_KEY)

/** More than the keys, numbers and heads of any of these events take. */
const FIXED_BYTES = 384
const BYTES_PER_FIELD = HEAD_BYTES

export function writeRequestHeadersMsgpack(event: RequestHeadersEvent, out: ByteWriter): void {
  const { correlationId, metadata, method, uri } = event
  const headers = inRuns(event.headers)
  const timestamp = timestampText(metadata.timestampMs)
  const texts =
    correlationId +
    correlationId +
    metadata.requestId +
    metadata.clientIp +
    (metadata.serverName ?? '') +
    metadata.protocol +
    (metadata.tlsVersion ?? '') +
    (metadata.tlsCipher ?? '') +
    (metadata.routeId ?? '') +
    (metadata.upstreamId ?? '') +
    timestamp +
    (metadata.traceparent ?? '') +
    method +
    uri +
    joinedTexts(headers)
  let at = beginStaged(out, FIXED_BYTES + headers.length * BYTES_PER_FIELD, texts)
  at = putStagedMember(out, at, START_OF_REQUEST, correlationId)
  const start = metadata.traceparent === undefined ? METADATA : METADATA_WITH_TRACE
  at = putStagedMember(out, at, start, correlationId)
  at = putStagedMember(out, at, key.REQUEST_ID_KEY, metadata.requestId)
  at = putStagedMember(out, at, key.CLIENT_IP_KEY, metadata.clientIp)
  at = putRun(out.view, at, key.CLIENT_PORT_KEY)
  at = putUnsigned(out.bytes, at, unsigned(metadata.clientPort))
  at = putStagedMember(out, at, key.SERVER_NAME_KEY, metadata.serverName)
  at = putStagedMember(out, at, key.PROTOCOL_KEY, metadata.protocol)
  at = putStagedMember(out, at, key.TLS_VERSION_KEY, metadata.tlsVersion)
  at = putStagedMember(out, at, key.TLS_CIPHER_KEY, metadata.tlsCipher)
  at = putStagedMember(out, at, key.ROUTE_ID_KEY, metadata.routeId)
  at = putStagedMember(out, at, key.UPSTREAM_ID_KEY, metadata.upstreamId)
  at = putStagedMember(out, at, key.TIMESTAMP_KEY, timestamp)
  if (metadata.traceparent !== undefined)
    at = putStagedMember(out, at, key.TRACEPARENT_KEY, metadata.traceparent)
  at = putStagedMember(out, at, key.METHOD_KEY, method)
  at = putStagedMember(out, at, key.URI_KEY, uri)
  at = putRun(out.view, at, key.HEADERS_KEY)
  endStaged(out, putHeaders(out, at, headers))
}

export function writeResponseHeadersMsgpack(event: ResponseHeadersEvent, out: ByteWriter): void {
  const headers = inRuns(event.headers)
  const texts = event.correlationId + joinedTexts(headers)
  let at = beginStaged(out, FIXED_BYTES + headers.length * BYTES_PER_FIELD, texts)
  at = putStagedMember(out, at, START_OF_RESPONSE, event.correlationId)
  at = putRun(out.view, at, key.STATUS_KEY)
  at = putUnsigned(out.bytes, at, unsigned(event.status))
  at = putRun(out.view, at, key.HEADERS_KEY)
  endStaged(out, putHeaders(out, at, headers))
}

/** `{name: [values]}` from a list in runs whose texts are staged. */
function putHeaders(out: ByteWriter, start: number, headers: HeaderList): number {
  let at = putLength(out.bytes, start, countRuns(headers), 0x80, 0xde)
  for (let i = 0; i < headers.length; ) {
    const end = endOfRun(headers, i)
    at = putStaged(out, at, headers[i]!)
    at = putLength(out.bytes, at, (end - i) >> 1, 0x90, 0xdc)
    at = putStaged(out, at, headers[i + 1]!)
    for (i += 2; i < end; i += 2) {
      skipStaged(headers[i]!)
      at = putStaged(out, at, headers[i + 1]!)
    }
  }
  return at
}

/** The data as base64 text, which every peer takes, or as it is for those that said they read bin. */
export function writeBodyChunkMsgpack(event: BodyChunkEvent, isRaw: boolean, out: ByteWriter): void {
  let at = begin(out, FIXED_BYTES, event.correlationId.length)
  at = putMember(out, at, START_OF_CHUNK, event.correlationId)
  out.end = putRun(out.view, at, key.DATA_KEY)
  if (isRaw) writeBinary(event.data, out)
  else writeBase64Text(event.data, out)
  at = begin(out, FIXED_BYTES, 0)
  at = putRun(out.view, at, key.IS_LAST_KEY)
  out.bytes[at++] = event.isLast ? key.TRUE : key.FALSE
  at = putRun(out.view, at, key.TOTAL_SIZE_KEY)
  if (event.totalSize === undefined) out.bytes[at++] = key.NIL
  else at = putUnsigned(out.bytes, at, unsigned(event.totalSize))
  at = putRun(out.view, at, key.CHUNK_INDEX_KEY)
  at = putUnsigned(out.bytes, at, unsigned(event.chunkIndex))
  at = putRun(out.view, at, event.kind === 'request-body-chunk' ? key.BYTES_RECEIVED_KEY : key.BYTES_SENT_KEY)
  out.end = putUnsigned(out.bytes, at, unsigned(event.bytesTransferred))
}

function writeBase64Text(data: Uint8Array, out: ByteWriter): void {
  const length = base64Length(data.length)
  out.reserve(HEAD_BYTES)
  putTextHead(out.bytes, out.end, length)
  out.end += headBytes(length)
  writeBase64(data, out)
}

/** Always with the four-byte length: bodies are large, and one form is enough. */
function writeBinary(data: Uint8Array, out: ByteWriter): void {
  out.reserve(5)
  out.bytes[out.end] = 0xc6
  out.bytes.writeUInt32BE(data.length, out.end + 1)
  out.end += 5
  out.append(data)
}

import type {
  BodyChunkEvent,
  HeaderList,
  RequestHeadersEvent,
  ResponseHeadersEvent,
} from '../../core/event.ts'
import { base64Length, writeBase64 } from '../base64.ts'
import type { ByteWriter } from '../byte-writer.ts'
import { putBytes } from '../native-text.ts'
import { unsigned } from '../shape/fields.ts'
import { countOfName, indexOfName, MAX_SCANNED_PAIRS } from '../shape/header-runs.ts'
import { headersToMap } from '../shape/headers.ts'
import { timestampText } from '../shape/timestamp.ts'
import * as key from './msgpack-keys.ts'
import { headBytes, putTextHead, writeLength, writeMsgpack, writeNumber, writeText } from './msgpack-write.ts'

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

export function writeRequestHeadersMsgpack(event: RequestHeadersEvent, out: ByteWriter): void {
  const { metadata } = event
  writeMember(START_OF_REQUEST, event.correlationId, out)
  writeMember(metadata.traceparent === undefined ? METADATA : METADATA_WITH_TRACE, event.correlationId, out)
  writeMember(key.REQUEST_ID_KEY, metadata.requestId, out)
  writeMember(key.CLIENT_IP_KEY, metadata.clientIp, out)
  writeKey(key.CLIENT_PORT_KEY, out)
  writeNumber(unsigned(metadata.clientPort), out)
  writeMember(key.SERVER_NAME_KEY, metadata.serverName, out)
  writeMember(key.PROTOCOL_KEY, metadata.protocol, out)
  writeMember(key.TLS_VERSION_KEY, metadata.tlsVersion, out)
  writeMember(key.TLS_CIPHER_KEY, metadata.tlsCipher, out)
  writeMember(key.ROUTE_ID_KEY, metadata.routeId, out)
  writeMember(key.UPSTREAM_ID_KEY, metadata.upstreamId, out)
  writeMember(key.TIMESTAMP_KEY, timestampText(metadata.timestampMs), out)
  if (metadata.traceparent !== undefined) writeMember(key.TRACEPARENT_KEY, metadata.traceparent, out)
  writeMember(key.METHOD_KEY, event.method, out)
  writeMember(key.URI_KEY, event.uri, out)
  writeKey(key.HEADERS_KEY, out)
  writeHeaders(event.headers, out)
}

export function writeResponseHeadersMsgpack(event: ResponseHeadersEvent, out: ByteWriter): void {
  writeMember(START_OF_RESPONSE, event.correlationId, out)
  writeKey(key.STATUS_KEY, out)
  writeNumber(unsigned(event.status), out)
  writeKey(key.HEADERS_KEY, out)
  writeHeaders(event.headers, out)
}

/** The data as base64 text, which every peer takes, or as it is for those that said they read bin. */
export function writeBodyChunkMsgpack(event: BodyChunkEvent, isRaw: boolean, out: ByteWriter): void {
  writeMember(START_OF_CHUNK, event.correlationId, out)
  writeKey(key.DATA_KEY, out)
  if (isRaw) writeBinary(event.data, out)
  else writeBase64Text(event.data, out)
  writeKey(key.IS_LAST_KEY, out)
  writeByte(event.isLast ? key.TRUE : key.FALSE, out)
  writeKey(key.TOTAL_SIZE_KEY, out)
  if (event.totalSize === undefined) writeByte(key.NIL, out)
  else writeNumber(unsigned(event.totalSize), out)
  writeKey(key.CHUNK_INDEX_KEY, out)
  writeNumber(unsigned(event.chunkIndex), out)
  writeKey(event.kind === 'request-body-chunk' ? key.BYTES_RECEIVED_KEY : key.BYTES_SENT_KEY, out)
  writeNumber(unsigned(event.bytesTransferred), out)
}

function writeBase64Text(data: Uint8Array, out: ByteWriter): void {
  const length = base64Length(data.length)
  out.reserve(5)
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

export function writeKey(constant: Uint8Array, out: ByteWriter): void {
  out.reserve(constant.length)
  out.end = putBytes(out.bytes, out.end, constant)
}

/** Appends `constant` and then the text, or nil. */
export function writeMember(constant: Uint8Array, text: string | undefined, out: ByteWriter): void {
  writeKey(constant, out)
  if (text === undefined) writeByte(key.NIL, out)
  else writeText(text, out)
}

export function writeByte(byte: number, out: ByteWriter): void {
  out.reserve(1)
  out.bytes[out.end++] = byte
}

/** `{name: [values]}`, names in the order of their first values. */
function writeHeaders(headers: HeaderList, out: ByteWriter): void {
  const { length } = headers
  if (length > MAX_SCANNED_PAIRS * 2) {
    writeMsgpack(headersToMap(headers), out)
    return
  }
  let names = 0
  for (let i = 0; i + 1 < length; i += 2) if (indexOfName(headers, headers[i]!, 0, i) < 0) names++
  writeLength(names, 0x80, 0xde, out)
  for (let i = 0; i + 1 < length; i += 2) {
    const name = headers[i]!
    if (names < length >> 1 && indexOfName(headers, name, 0, i) >= 0) continue
    writeText(name, out)
    if (names === length >> 1) {
      writeByte(0x91, out)
      writeText(headers[i + 1]!, out)
    } else writeValues(headers, name, i, out)
  }
}

function writeValues(headers: HeaderList, name: string, first: number, out: ByteWriter): void {
  writeLength(countOfName(headers, name, first), 0x90, 0xdc, out)
  const before = headers.length - 1
  for (let i = first; i >= 0; i = indexOfName(headers, name, i + 2, before)) writeText(headers[i + 1]!, out)
}

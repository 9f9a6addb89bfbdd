import type { BodyChunkEvent, RequestHeadersEvent } from '../../core/event.ts'
import { type Run, runOf } from '../runs.ts'
import { bodyBytes } from '../shape/body.ts'
import { lowerCaseName } from '../shape/header-name.ts'
import { timestampMs } from '../shape/timestamp.ts'
import { JsonCursor } from './json-cursor.ts'

/*
 * Fast readers of the two frequent events, in the key order that Weir and the reference proxy write. Anything else
 * gives null and is read by `JSON.parse`. Reading makes no calls outside, so one cursor serves all.
 */
const cursor = new JsonCursor()
const CLOSE_BRACKET = 0x5d
const NULL_START = 0x6e
const CLOSE_BRACE = 0x7d
const COMMA = 0x2c
const MAX_PORT = 0xffff

const START = runOf('{"correlation_id":')
const HEADERS = runOf(',"headers":{')
const CLIENT_IP = runOf('},"metadata":{"client_ip":')
const CLIENT_PORT = runOf(',"client_port":')
const ID = runOf(',"correlation_id":')
const PROTOCOL = runOf(',"protocol":')
const REQUEST_ID = runOf(',"request_id":')
const ROUTE_ID = runOf(',"route_id":')
const SERVER_NAME = runOf(',"server_name":')
const TIMESTAMP = runOf(',"timestamp":')
const TLS_CIPHER = runOf(',"tls_cipher":')
const TLS_VERSION = runOf(',"tls_version":')
const TRACEPARENT = runOf(',"traceparent":')
const UPSTREAM_ID = runOf(',"upstream_id":')
const METHOD = runOf('},"method":')
const URI = runOf(',"uri":')
const NULL = runOf('null')
const VALUES = runOf(':[')
const BYTES_RECEIVED = runOf('{"bytes_received":')
const BYTES_SENT = runOf('{"bytes_sent":')
const CHUNK_INDEX = runOf(',"chunk_index":')
const DATA = runOf(',"data":"')
const LAST = runOf('","is_last":true,"total_size":')
const NOT_LAST = runOf('","is_last":false,"total_size":')

/** Set by {@link optional} when the member is neither a string nor null. */
let isOff = false

export function readRequestHeadersJson(
  bytes: Buffer,
  start: number,
  end: number,
): RequestHeadersEvent | null {
  const event = cursor.open(bytes, start, end) ? requestHeaders() : null
  cursor.close()
  return event
}

function requestHeaders(): RequestHeadersEvent | null {
  if (!cursor.skip(START) || cursor.string() === null) return null
  if (!cursor.skip(HEADERS)) return null
  const headers: string[] = []
  if (!headerMembers(headers)) return null
  isOff = false
  const clientIp = required(CLIENT_IP)
  if (isOff || !cursor.skip(CLIENT_PORT)) return null
  const clientPort = cursor.integer()
  if (clientPort < 0 || clientPort > MAX_PORT) return null
  const correlationId = required(ID)
  const protocol = required(PROTOCOL)
  const requestId = required(REQUEST_ID)
  const routeId = optional(ROUTE_ID)
  const serverName = optional(SERVER_NAME)
  const timestamp = required(TIMESTAMP)
  const tlsCipher = optional(TLS_CIPHER)
  const tlsVersion = optional(TLS_VERSION)
  if (isOff) return null
  const traceparent = cursor.skip(TRACEPARENT) ? optionalValue() : undefined
  const upstreamId = optional(UPSTREAM_ID)
  const method = required(METHOD)
  const uri = required(URI)
  if (isOff || !cursor.skipByte(CLOSE_BRACE) || !cursor.isAtEnd) return null
  return {
    kind: 'request-headers',
    correlationId,
    metadata: {
      requestId,
      clientIp,
      clientPort,
      serverName,
      protocol,
      tlsVersion,
      tlsCipher,
      routeId,
      upstreamId,
      timestampMs: timestampMs(timestamp),
      traceparent,
    },
    method,
    uri,
    headers,
  }
}

function required(key: Run): string {
  if (cursor.skip(key)) return value()
  isOff = true
  return ''
}

function value(): string {
  const text = cursor.string()
  if (text !== null) return text
  isOff = true
  return ''
}

function optional(key: Run): string | undefined {
  if (cursor.skip(key)) return optionalValue()
  isOff = true
  return undefined
}

function optionalValue(): string | undefined {
  if (cursor.next() === NULL_START) {
    if (!cursor.skip(NULL)) isOff = true
    return undefined
  }
  return value()
}

/** `"name":["value",...],...` up to the closing brace, which stays. */
function headerMembers(headers: string[]): boolean {
  if (cursor.next() === CLOSE_BRACE) return true
  for (;;) {
    const name = cursor.string()
    if (name === null || !cursor.skip(VALUES)) return false
    const lower = lowerCaseName(name)
    for (;;) {
      const value = cursor.string()
      if (value === null) return false
      headers.push(lower, value)
      if (!cursor.skipByte(COMMA)) break
    }
    if (!cursor.skipByte(CLOSE_BRACKET)) return false
    if (!cursor.skipByte(COMMA)) return true
  }
}

/** What stands around the data is never longer than this, ids included, or the generic reader takes it. */
const HEAD_BYTES = 256
const TAIL_BYTES = 64

/** Decodes the data straight from the frame, without a text of the whole payload. */
export function readBodyChunkJson(
  kind: BodyChunkEvent['kind'],
  bytes: Buffer,
  start: number,
  end: number,
): BodyChunkEvent | null {
  const headEnd = Math.min(end, start + HEAD_BYTES)
  if (!cursor.open(bytes, start, headEnd)) return null
  const head = chunkHead(kind)
  const dataStart = cursor.at
  cursor.close()
  if (head === null) return null
  const dataEnd = bytes.indexOf(0x22, dataStart)
  if (dataEnd < 0 || dataEnd >= end || end - dataEnd > TAIL_BYTES) return null
  if (!cursor.open(bytes, dataEnd, end)) return null
  const tail = chunkTail()
  cursor.close()
  if (tail === null) return null
  const data = bodyBytes(bytes.latin1Slice(dataStart, dataEnd), 'data')
  return {
    kind,
    correlationId: head.correlationId,
    data,
    isLast: tail.isLast,
    totalSize: tail.totalSize,
    chunkIndex: head.chunkIndex,
    bytesTransferred: head.bytesTransferred,
  }
}

type Head = Pick<BodyChunkEvent, 'bytesTransferred' | 'chunkIndex' | 'correlationId'>

function chunkHead(kind: BodyChunkEvent['kind']): Head | null {
  if (!cursor.skip(kind === 'request-body-chunk' ? BYTES_RECEIVED : BYTES_SENT)) return null
  const bytesTransferred = cursor.integer()
  if (bytesTransferred < 0 || !cursor.skip(CHUNK_INDEX)) return null
  const chunkIndex = cursor.integer()
  if (chunkIndex < 0 || !cursor.skip(ID)) return null
  const correlationId = cursor.string()
  if (correlationId === null || !cursor.skip(DATA)) return null
  return { bytesTransferred, chunkIndex, correlationId }
}

function chunkTail(): Pick<BodyChunkEvent, 'isLast' | 'totalSize'> | null {
  const isLast = cursor.skip(LAST)
  if (!isLast && !cursor.skip(NOT_LAST)) return null
  let totalSize: number | undefined
  if (!cursor.skip(NULL)) {
    totalSize = cursor.integer()
    if (totalSize < 0) return null
  }
  return cursor.skipByte(CLOSE_BRACE) && cursor.isAtEnd ? { isLast, totalSize } : null
}

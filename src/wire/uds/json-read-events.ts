import type { BodyChunkEvent, RequestHeadersEvent } from '../../core/event.ts'
import { isAscii } from '../native-text.ts'
import { bodyBytes } from '../shape/body.ts'
import { lowerCaseName } from '../shape/header-name.ts'
import { timestampMs } from '../shape/timestamp.ts'
import { TextCursor } from './text-cursor.ts'

/*
 * Fast readers of the two frequent events, in the key order that Weir and the reference proxy write. Anything else
 * gives null and is read by `JSON.parse`. Reading makes no calls outside, so one cursor serves all.
 */
const cursor = new TextCursor()
const NULL_START = 0x6e
const CLOSE_BRACE = 0x7d
const COMMA = 0x2c
const MAX_PORT = 0xffff

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
  if (!cursor.skip('{"correlation_id":') || cursor.string() === null) return null
  if (!cursor.skip(',"headers":{')) return null
  const headers: string[] = []
  if (!headerMembers(headers)) return null
  isOff = false
  const clientIp = required('},"metadata":{"client_ip":')
  if (isOff || !cursor.skip(',"client_port":')) return null
  const clientPort = cursor.integer()
  if (clientPort < 0 || clientPort > MAX_PORT) return null
  const correlationId = required(',"correlation_id":')
  const protocol = required(',"protocol":')
  const requestId = required(',"request_id":')
  const routeId = optional(',"route_id":')
  const serverName = optional(',"server_name":')
  const timestamp = required(',"timestamp":')
  const tlsCipher = optional(',"tls_cipher":')
  const tlsVersion = optional(',"tls_version":')
  if (isOff) return null
  const traceparent = cursor.skip(',"traceparent":') ? optional('') : undefined
  const upstreamId = optional(',"upstream_id":')
  const method = required('},"method":')
  const uri = required(',"uri":')
  if (isOff || !cursor.skip('}') || !cursor.isAtEnd) return null
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

function required(key: string): string {
  const text = cursor.skip(key) ? cursor.string() : null
  if (text !== null) return text
  isOff = true
  return ''
}

function optional(key: string): string | undefined {
  if (!cursor.skip(key)) {
    isOff = true
    return undefined
  }
  if (cursor.next() === NULL_START) {
    if (!cursor.skip('null')) isOff = true
    return undefined
  }
  return required('')
}

/** `"name":["value",...],...` up to the closing brace, which stays. */
function headerMembers(headers: string[]): boolean {
  if (cursor.next() === CLOSE_BRACE) return true
  for (;;) {
    const name = cursor.string()
    if (name === null || !cursor.skip(':[')) return false
    const lower = lowerCaseName(name)
    for (;;) {
      const value = cursor.string()
      if (value === null) return false
      headers.push(lower, value)
      if (cursor.next() !== COMMA) break
      cursor.at++
    }
    if (!cursor.skip(']')) return false
    if (cursor.next() !== COMMA) return true
    cursor.at++
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
  if (!isAscii(bytes, start, headEnd) || !cursor.open(bytes, start, headEnd)) return null
  const head = chunkHead(kind)
  const dataStart = start + cursor.at
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
  if (!cursor.skip(kind === 'request-body-chunk' ? '{"bytes_received":' : '{"bytes_sent":')) return null
  const bytesTransferred = cursor.integer()
  if (bytesTransferred < 0 || !cursor.skip(',"chunk_index":')) return null
  const chunkIndex = cursor.integer()
  if (chunkIndex < 0 || !cursor.skip(',"correlation_id":')) return null
  const correlationId = cursor.string()
  if (correlationId === null || !cursor.skip(',"data":"')) return null
  return { bytesTransferred, chunkIndex, correlationId }
}

function chunkTail(): Pick<BodyChunkEvent, 'isLast' | 'totalSize'> | null {
  const isLast = cursor.skip('","is_last":true,"total_size":')
  if (!isLast && !cursor.skip('","is_last":false,"total_size":')) return null
  let totalSize: number | undefined
  if (!cursor.skip('null')) {
    totalSize = cursor.integer()
    if (totalSize < 0) return null
  }
  return cursor.skip('}') && cursor.isAtEnd ? { isLast, totalSize } : null
}

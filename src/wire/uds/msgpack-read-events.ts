import type { BodyChunkEvent, RequestHeadersEvent } from '../../core/event.ts'
import type { Run } from '../runs.ts'
import { bodyBytes, ownBytes } from '../shape/body.ts'
import { lowerCaseName } from '../shape/header-name.ts'
import { timestampMs } from '../shape/timestamp.ts'
import { MsgpackCursor } from './msgpack-cursor.ts'
import * as key from './msgpack-keys.ts'
import { skipValue } from './msgpack-scan.ts'

/*
 * Fast readers of the two frequent events, as maps in declaration order, which Weir and the reference proxy write.
 * Anything else gives null. Reading makes no calls outside, so one cursor serves all.
 */
const cursor = new MsgpackCursor()
const WITH_ID = key.joined(0x85, key.ID_KEY)
const WITHOUT_ID = key.joined(0x84, key.METADATA_KEY)
const METADATA_START = key.joined(0x8b, key.ID_KEY)
const METADATA_START_WITH_TRACE = key.joined(0x8c, key.ID_KEY)
const MAX_PORT = 0xffff

/** Set when a member is not what it must be. */
let isOff = false

export function readRequestHeadersMsgpack(
  bytes: Buffer,
  start: number,
  end: number,
): RequestHeadersEvent | null {
  const event = cursor.open(bytes, start, end) ? requestHeaders() : null
  cursor.close()
  return event
}

function requestHeaders(): RequestHeadersEvent | null {
  if (cursor.skip(WITH_ID)) {
    if (cursor.string() === null || !cursor.skip(key.METADATA_KEY)) return null
  } else if (!cursor.skip(WITHOUT_ID)) return null
  const hasTrace = cursor.skip(METADATA_START_WITH_TRACE)
  if (!hasTrace && !cursor.skip(METADATA_START)) return null
  isOff = false
  const correlationId = value()
  const requestId = required(key.REQUEST_ID_KEY)
  const clientIp = required(key.CLIENT_IP_KEY)
  if (isOff || !cursor.skip(key.CLIENT_PORT_KEY)) return null
  const clientPort = cursor.integer()
  if (clientPort < 0 || clientPort > MAX_PORT) return null
  const serverName = optional(key.SERVER_NAME_KEY)
  const protocol = required(key.PROTOCOL_KEY)
  const tlsVersion = optional(key.TLS_VERSION_KEY)
  const tlsCipher = optional(key.TLS_CIPHER_KEY)
  const routeId = optional(key.ROUTE_ID_KEY)
  const upstreamId = optional(key.UPSTREAM_ID_KEY)
  const timestamp = required(key.TIMESTAMP_KEY)
  const traceparent = hasTrace ? optional(key.TRACEPARENT_KEY) : undefined
  const method = required(key.METHOD_KEY)
  const uri = required(key.URI_KEY)
  if (isOff || !cursor.skip(key.HEADERS_KEY)) return null
  const headers = headerMembers()
  if (headers === null || !cursor.isAtEnd) return null
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

function value(): string {
  const text = cursor.string()
  if (text !== null) return text
  isOff = true
  return ''
}

function required(constant: Run): string {
  if (cursor.skip(constant)) return value()
  isOff = true
  return ''
}

function optional(constant: Run): string | undefined {
  if (!cursor.skip(constant)) {
    isOff = true
    return undefined
  }
  return cursor.skipByte(key.NIL) ? undefined : value()
}

function headerMembers(): string[] | null {
  const names = cursor.entries(0x80, 0xde)
  if (names < 0) return null
  const headers: string[] = []
  for (let i = 0; i < names; i++) {
    const name = cursor.string()
    if (name === null) return null
    const lower = lowerCaseName(name)
    const values = cursor.entries(0x90, 0xdc)
    if (values < 0) return null
    for (let n = 0; n < values; n++) {
      const text = cursor.string()
      if (text === null) return null
      headers.push(lower, text)
    }
  }
  return headers
}

const CHUNK_START = key.joined(0x86, key.ID_KEY)
/** What stands around the data is never longer than this, ids included, or the generic reader takes it. */
const HEAD_BYTES = 256

/** Decodes the data straight from the frame, without a value built of the whole payload. */
export function readBodyChunkMsgpack(
  kind: BodyChunkEvent['kind'],
  bytes: Buffer,
  start: number,
  end: number,
): BodyChunkEvent | null {
  if (!cursor.open(bytes, start, Math.min(end, start + HEAD_BYTES))) return null
  const correlationId = cursor.skip(CHUNK_START) ? cursor.string() : null
  const hasData = correlationId !== null && cursor.skip(key.DATA_KEY)
  const dataAt = cursor.at
  cursor.close()
  if (!hasData) return null
  const dataEnd = skipValue(bytes, dataAt, end)
  const code = bytes[dataAt]
  const isRaw = code === BIN32
  const dataStart = isRaw ? 5 : textStart(code)
  if (dataEnd < 0 || dataStart === 0 || !cursor.open(bytes, dataEnd, end)) return null
  const tail = chunkTail(kind)
  cursor.close()
  if (tail === null) return null
  return {
    kind,
    correlationId,
    data: isRaw
      ? ownBytes(bytes, dataAt + dataStart, dataEnd)
      : bodyBytes(bytes.latin1Slice(dataAt + dataStart, dataEnd), 'data'),
    isLast: tail.isLast,
    totalSize: tail.totalSize,
    chunkIndex: tail.chunkIndex,
    bytesTransferred: tail.bytesTransferred,
  }
}

/** The form in which we write bodies to peers that read bin; the generic reader takes the others. */
const BIN32 = 0xc6

/** Bytes before a string's text; 0 when it is no string. */
function textStart(code: number | undefined): number {
  if (code === undefined) return 0
  if (code >= 0xa0 && code < 0xc0) return 1
  return code === 0xd9 ? 2 : code === 0xda ? 3 : code === 0xdb ? 5 : 0
}

type Tail = Pick<BodyChunkEvent, 'isLast' | 'totalSize' | 'chunkIndex' | 'bytesTransferred'>

function chunkTail(kind: BodyChunkEvent['kind']): Tail | null {
  if (!cursor.skip(key.IS_LAST_KEY)) return null
  const isLast = cursor.skipByte(key.TRUE)
  if (!isLast && !cursor.skipByte(key.FALSE)) return null
  if (!cursor.skip(key.TOTAL_SIZE_KEY)) return null
  let totalSize: number | undefined
  if (!cursor.skipByte(key.NIL)) {
    totalSize = cursor.integer()
    if (totalSize < 0) return null
  }
  if (!cursor.skip(key.CHUNK_INDEX_KEY)) return null
  const chunkIndex = cursor.integer()
  if (chunkIndex < 0) return null
  if (!cursor.skip(kind === 'request-body-chunk' ? key.BYTES_RECEIVED_KEY : key.BYTES_SENT_KEY)) return null
  const bytesTransferred = cursor.integer()
  return bytesTransferred < 0 || !cursor.isAtEnd ? null : { isLast, totalSize, chunkIndex, bytesTransferred }
}

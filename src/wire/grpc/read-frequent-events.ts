import type { BodyChunkEvent, RequestHeadersEvent } from '../../core/event.ts'
import { ownBytes } from '../shape/body.ts'
import { lowerCaseName } from '../shape/header-name.ts'
import { ProtoCursor } from './proto-cursor.ts'

/*
 * Fast readers of the two frequent events. Fields may come in any order; one that is unknown, repeated or broken
 * gives null, and generated code reads the message. Reading makes no calls outside, so one cursor serves all.
 */
const cursor = new ProtoCursor()
const TLS_CIPHER_TAG = 8002
const MAX_PORT = 0xffff
const MAX_U32 = 0xffff_ffff

/** `start` lies behind the tag of `ProxyToAgent.request_headers`. */
export function readRequestHeadersProto(
  bytes: Buffer,
  start: number,
  end: number,
): RequestHeadersEvent | null {
  if (!cursor.openTexts(bytes, start, end)) return null
  const event = cursor.lengthEnd(end) === end && !cursor.isOff ? requestHeaders(end) : null
  const isOff = cursor.isOff
  cursor.close()
  return isOff ? null : event
}

interface Named {
  correlationId: string
  metadata: RequestHeadersEvent['metadata']
}

function requestHeaders(end: number): RequestHeadersEvent | null {
  let named: Named | null = null
  let method = ''
  let uri = ''
  const headers: string[] = []
  while (cursor.at < end) {
    switch (cursor.bytes[cursor.at++]) {
      case 0x0a:
        if (named !== null) return null
        named = metadata(cursor.lengthEnd(end))
        break
      case 0x12:
        method = cursor.string(end)
        break
      case 0x1a:
        uri = cursor.string(end)
        break
      case 0x22:
        cursor.at = cursor.lengthEnd(end)
        break
      case 0x2a:
        header(headers, cursor.lengthEnd(end))
        break
      default:
        return null
    }
    if (cursor.isOff) return null
  }
  if (named === null) return null
  return {
    kind: 'request-headers',
    correlationId: named.correlationId,
    metadata: named.metadata,
    method,
    uri,
    headers,
  }
}

function metadata(end: number): Named | null {
  let correlationId = ''
  let requestId = ''
  let clientIp = ''
  let clientPort = 0
  let serverName: string | undefined
  let protocol = ''
  let tlsVersion: string | undefined
  let tlsCipher: string | undefined
  let routeId: string | undefined
  let upstreamId: string | undefined
  let timestampMs = 0
  let traceparent: string | undefined
  while (cursor.at < end && !cursor.isOff) {
    switch (cursor.varint(end)) {
      case 0x0a:
        correlationId = cursor.string(end)
        break
      case 0x12:
        requestId = cursor.string(end)
        break
      case 0x1a:
        clientIp = cursor.string(end)
        break
      case 0x20:
        clientPort = cursor.varint(end)
        break
      case 0x2a:
        serverName = cursor.string(end)
        break
      case 0x32:
        protocol = cursor.string(end)
        break
      case 0x3a:
        tlsVersion = cursor.string(end)
        break
      case 0x42:
        routeId = cursor.string(end)
        break
      case 0x4a:
        upstreamId = cursor.string(end)
        break
      case 0x50:
        timestampMs = cursor.varint(end)
        break
      case 0x5a:
        traceparent = cursor.string(end)
        break
      case TLS_CIPHER_TAG:
        tlsCipher = cursor.string(end)
        break
      default:
        cursor.isOff = true
    }
  }
  if (cursor.isOff || clientPort > MAX_PORT) return null
  return {
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
      timestampMs,
      traceparent,
    },
  }
}

function header(into: string[], end: number): void {
  let name = ''
  let value = ''
  while (cursor.at < end && !cursor.isOff) {
    const tag = cursor.bytes[cursor.at++]
    if (tag === 0x0a) name = cursor.string(end)
    else if (tag === 0x12) value = cursor.string(end)
    else cursor.isOff = true
  }
  into.push(lowerCaseName(name), value)
}

/** `start` lies behind the tag of one of the two body chunk fields of `ProxyToAgent`. */
export function readBodyChunkProto(
  kind: BodyChunkEvent['kind'],
  bytes: Buffer,
  start: number,
  end: number,
): BodyChunkEvent | null {
  cursor.open(bytes, start)
  const event = cursor.lengthEnd(end) === end && !cursor.isOff ? bodyChunk(kind, end) : null
  const isOff = cursor.isOff
  cursor.close()
  return isOff ? null : event
}

function bodyChunk(kind: BodyChunkEvent['kind'], end: number): BodyChunkEvent | null {
  let correlationId = ''
  let chunkIndex = 0
  let dataStart = 0
  let dataEnd = 0
  let isLast = false
  let totalSize: number | undefined
  let bytesTransferred = 0
  while (cursor.at < end && !cursor.isOff) {
    switch (cursor.bytes[cursor.at++]) {
      case 0x0a:
        correlationId = cursor.string(end)
        break
      case 0x10:
        chunkIndex = cursor.varint(end)
        break
      case 0x1a:
        dataEnd = cursor.lengthEnd(end)
        dataStart = cursor.at
        cursor.at = dataEnd
        break
      case 0x20:
        isLast = cursor.varint(end) !== 0
        break
      case 0x28:
        totalSize = cursor.varint(end)
        break
      case 0x30:
        bytesTransferred = cursor.varint(end)
        break
      case 0x38:
      case 0x40:
        cursor.varint(end)
        break
      default:
        return null
    }
  }
  if (cursor.isOff || chunkIndex > MAX_U32) return null
  const data = ownBytes(cursor.bytes, dataStart, dataEnd)
  return { kind, correlationId, data, isLast, totalSize, chunkIndex, bytesTransferred }
}

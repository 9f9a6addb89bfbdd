import type { BodyChunkEvent, RequestHeadersEvent, ResponseHeadersEvent } from '../../core/event.ts'
import { writeBase64 } from '../base64.ts'
import type { ByteWriter } from '../byte-writer.ts'
import { unsigned } from '../shape/fields.ts'
import { timestampText } from '../shape/timestamp.ts'
import { writeHeaderMembers } from './json-headers.ts'
import { writeConstant, writeDecimal, writeJsonMember } from './json-write.ts'

/*
 * The frequent events, written straight into the connection's buffer. Keys stand in alphabetical order, as the
 * reference proxy writes them, so that one fast reader serves both.
 */
const key = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text))

const ID = key('{"correlation_id":')
const HEADERS = key(',"headers":{')
const CLIENT_IP = key('},"metadata":{"client_ip":')
const CLIENT_PORT = key(',"client_port":')
const META_ID = key(',"correlation_id":')
const PROTOCOL = key(',"protocol":')
const REQUEST_ID = key(',"request_id":')
const ROUTE_ID = key(',"route_id":')
const SERVER_NAME = key(',"server_name":')
const TIMESTAMP = key(',"timestamp":')
const TLS_CIPHER = key(',"tls_cipher":')
const TLS_VERSION = key(',"tls_version":')
const TRACEPARENT = key(',"traceparent":')
const UPSTREAM_ID = key(',"upstream_id":')
const METHOD = key('},"method":')
const URI = key(',"uri":')
const STATUS = key('},"status":')
const BYTES_RECEIVED = key('{"bytes_received":')
const BYTES_SENT = key('{"bytes_sent":')
const CHUNK_INDEX = key(',"chunk_index":')
const DATA = key(',"data":"')
const LAST = key('","is_last":true,"total_size":')
const NOT_LAST = key('","is_last":false,"total_size":')
const NULL = key('null')

const CLOSE_BRACE = 0x7d

export function writeRequestHeadersJson(event: RequestHeadersEvent, out: ByteWriter): void {
  const { metadata } = event
  writeJsonMember(ID, event.correlationId, out)
  writeConstant(HEADERS, out)
  writeHeaderMembers(event.headers, out)
  writeJsonMember(CLIENT_IP, metadata.clientIp, out)
  writeConstant(CLIENT_PORT, out)
  writeDecimal(unsigned(metadata.clientPort), out)
  writeJsonMember(META_ID, event.correlationId, out)
  writeJsonMember(PROTOCOL, metadata.protocol, out)
  writeJsonMember(REQUEST_ID, metadata.requestId, out)
  writeJsonMember(ROUTE_ID, metadata.routeId, out)
  writeJsonMember(SERVER_NAME, metadata.serverName, out)
  writeJsonMember(TIMESTAMP, timestampText(metadata.timestampMs), out)
  writeJsonMember(TLS_CIPHER, metadata.tlsCipher, out)
  writeJsonMember(TLS_VERSION, metadata.tlsVersion, out)
  if (metadata.traceparent !== undefined) writeJsonMember(TRACEPARENT, metadata.traceparent, out)
  writeJsonMember(UPSTREAM_ID, metadata.upstreamId, out)
  writeJsonMember(METHOD, event.method, out)
  writeJsonMember(URI, event.uri, out)
  writeByte(CLOSE_BRACE, out)
}

export function writeResponseHeadersJson(event: ResponseHeadersEvent, out: ByteWriter): void {
  writeJsonMember(ID, event.correlationId, out)
  writeConstant(HEADERS, out)
  writeHeaderMembers(event.headers, out)
  writeConstant(STATUS, out)
  writeDecimal(unsigned(event.status), out)
  writeByte(CLOSE_BRACE, out)
}

/** Base64 goes from the body's bytes into the buffer without a string of it in between being kept. */
export function writeBodyChunkJson(event: BodyChunkEvent, out: ByteWriter): void {
  writeConstant(event.kind === 'request-body-chunk' ? BYTES_RECEIVED : BYTES_SENT, out)
  writeDecimal(unsigned(event.bytesTransferred), out)
  writeConstant(CHUNK_INDEX, out)
  writeDecimal(unsigned(event.chunkIndex), out)
  writeJsonMember(META_ID, event.correlationId, out)
  writeConstant(DATA, out)
  writeBase64(event.data, out)
  writeConstant(event.isLast ? LAST : NOT_LAST, out)
  if (event.totalSize === undefined) writeConstant(NULL, out)
  else writeDecimal(unsigned(event.totalSize), out)
  writeByte(CLOSE_BRACE, out)
}

function writeByte(byte: number, out: ByteWriter): void {
  out.reserve(1)
  out.bytes[out.end++] = byte
}

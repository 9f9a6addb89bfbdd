import { type ErrorCode, WeirError } from '../../core/errors.ts'
import type { CallHeaders } from './call-headers.ts'

/** The gRPC status numbers this folder uses, https://grpc.io/docs/guides/status-codes/. */
export const GRPC_STATUS = {
  ok: 0,
  invalidArgument: 3,
  notFound: 5,
  resourceExhausted: 8,
  unimplemented: 12,
} as const

const CODE_OF_STATUS: Readonly<Record<number, ErrorCode>> = {
  1: 'CANCELLED',
  3: 'INVALID_ARGUMENT',
  4: 'TIMEOUT',
  5: 'NOT_FOUND',
  7: 'PERMISSION_DENIED',
  8: 'OVERLOADED',
  9: 'CONFLICT',
  10: 'CONFLICT',
  12: 'NOT_FOUND',
  13: 'PROTOCOL_ERROR',
  14: 'UNAVAILABLE',
  16: 'UNAUTHENTICATED',
}

/** What a call's final status means; undefined for OK. */
export function errorOfStatus(status: number, message: string, peer: string): WeirError | undefined {
  if (status === GRPC_STATUS.ok) return undefined
  const detail = message === '' ? '' : `: ${message}`
  const code = CODE_OF_STATUS[status] ?? 'UNAVAILABLE'
  return new WeirError(code, `${peer} ended the call with gRPC status ${status}${detail}`)
}

/** How a call ended: a status number and a sentence. */
export interface CallStatus {
  readonly status: number
  readonly message: string
}

/** The status in headers or trailers; undefined when there is none. */
export function statusOf(headers: CallHeaders): CallStatus | undefined {
  const text = headers['grpc-status']
  if (text === undefined) return undefined
  const status = /^\d{1,3}$/.test(text) ? Number(text) : 2
  const message = headers['grpc-message']
  return { status, message: message === undefined ? '' : decodeMessage(message) }
}

/** Trailers that end a call. */
export function statusTrailers(status: number, message: string): Record<string, string> {
  const trailers: Record<string, string> = { 'grpc-status': String(status) }
  if (message !== '') trailers['grpc-message'] = encodeMessage(message)
  return trailers
}

/** How a link's end is told to a gRPC peer: an ordinary end is OK, everything else has its own status. */
export function trailersOf(reason: WeirError | undefined): Record<string, string> {
  if (reason === undefined || reason.code === 'CONNECTION_LOST') return statusTrailers(GRPC_STATUS.ok, '')
  return statusTrailers(reason.grpcStatus, reason.message)
}

/** A response that is no gRPC response: a proxy or a web server answered. Undefined when it is one. */
export function foreignResponse(headers: CallHeaders, peer: string): WeirError | undefined {
  const status = headers[':status'] ?? '(none)'
  if (status !== '200') {
    const code = status === '401' ? 'UNAUTHENTICATED' : status === '403' ? 'PERMISSION_DENIED' : 'UNAVAILABLE'
    return new WeirError(code, `${peer} answered with HTTP status ${status} instead of gRPC`)
  }
  const type = headers['content-type']
  if (type !== undefined && isGrpcType(type)) return undefined
  return new WeirError(
    'PROTOCOL_ERROR',
    `${peer} answered with content type ${type ?? '(none)'} instead of gRPC`,
  )
}

/** Whether a content type means protobuf messages in gRPC framing. */
export function isGrpcType(type: string): boolean {
  return /^application\/grpc(\+proto)?\s*(;|$)/.test(type)
}

/** Percent-encoding of gRPC's HTTP/2 mapping: everything but printable ASCII, and the percent sign. */
function encodeMessage(message: string): string {
  let encoded = ''
  for (const byte of Buffer.from(message))
    encoded +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  return encoded
}

function decodeMessage(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

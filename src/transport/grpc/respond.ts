import { retryInfoStatus } from '../../wire/grpc/retry-info.ts'
import { HEADER_BYTES } from '../h2/frames.ts'
import { encodeHeaders } from '../h2/hpack-encoder.ts'
import type { Field } from '../h2/static-table.ts'
import { statusTrailers } from './grpc-status.ts'
import type { ServerCall } from './server-call.ts'

const HEADERS: readonly Field[] = [
  [':status', '200'],
  ['content-type', 'application/grpc+proto'],
  ['grpc-accept-encoding', 'identity'],
]
const RESPONSE = encodeHeaders(HEADERS)

/** Response headers leave at once; the status follows in trailers, when the call ends. */
export function respond(call: ServerCall): void {
  call.respond(RESPONSE)
}

/** Answers a unary call: headers, one framed message, status OK. */
export function endWithMessage(call: ServerCall, framed: Uint8Array): void {
  if (call.isClosed) return
  respond(call)
  call.write(Buffer.concat([Buffer.alloc(HEADER_BYTES), framed]), () => {})
  call.end()
}

/**
 * Ends a call whose response headers were not sent: headers and status in one frame, and when to come again in the
 * form that gRPC clients read. What the client still sends is read and dropped, so that the status is not lost.
 */
export function endWithStatus(
  call: ServerCall,
  status: number,
  message: string,
  retryAfterMs?: number,
): void {
  if (call.isClosed || call.hasResponded) return
  const trailers = statusTrailers(status, message)
  if (retryAfterMs !== undefined) {
    trailers['grpc-status-details-bin'] = retryInfoStatus(status, message, retryAfterMs).toString('base64')
  }
  call.respond(encodeHeaders([...HEADERS, ...Object.entries(trailers)]), true)
}

/** Ends what is no gRPC call with an HTTP status. */
export function refuse(call: ServerCall, status: number): void {
  call.respond(encodeHeaders([[':status', String(status)]]), true)
}

import type { ServerHttp2Stream } from 'node:http2'
import { retryInfoStatus } from '../../wire/grpc/retry-info.ts'
import { GRPC_STATUS, statusTrailers } from './grpc-status.ts'

const HEADERS = {
  ':status': 200,
  'content-type': 'application/grpc+proto',
  'grpc-accept-encoding': 'identity',
} as const

/** Response headers leave at once; the status follows in trailers (`wantTrailers`). */
export function respond(stream: ServerHttp2Stream): void {
  stream.respond(HEADERS, { waitForTrailers: true })
}

/** Answers a unary call: headers, one framed message, status OK. */
export function endWithMessage(stream: ServerHttp2Stream, framed: Uint8Array): void {
  if (stream.destroyed) return
  respond(stream)
  stream.once('wantTrailers', () => stream.sendTrailers(statusTrailers(GRPC_STATUS.ok, '')))
  stream.end(framed)
}

/**
 * Ends a call whose response headers were not sent: headers and status in one frame, and when to come again in the
 * form that gRPC clients read.
 */
export function endWithStatus(
  stream: ServerHttp2Stream,
  status: number,
  message: string,
  retryAfterMs?: number,
): void {
  if (stream.destroyed || stream.headersSent) return
  const trailers = statusTrailers(status, message)
  if (retryAfterMs !== undefined) {
    trailers['grpc-status-details-bin'] = retryInfoStatus(status, message, retryAfterMs).toString('base64')
  }
  stream.respond({ ...HEADERS, ...trailers }, { endStream: true })
  /* What the client still sends is read and dropped, so that the status is not lost to a reset. */
  stream.resume()
}

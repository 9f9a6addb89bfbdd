import { connect, type NetConnectOpts, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { WeirError } from '../../core/errors.ts'

/** Seconds are the kernel's; this says how long a TCP peer may be silent before it is asked, milliseconds. */
export const TCP_KEEPALIVE_MS = 30_000

/**
 * A connected socket (with `tls`: after the TLS handshake). Rejects with UNAVAILABLE, or the signal's reason.
 */
export function connectSocket(
  where: NetConnectOpts,
  endpoint: string,
  signal: AbortSignal,
  tls?: ConnectionOptions,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason)
      return
    }
    const options = { allowHalfOpen: true, ...where }
    const socket =
      tls === undefined ? connect(options) : connectTls({ ...options, ...tls } as ConnectionOptions)
    const settle = (): void => {
      signal.removeEventListener('abort', onAbort)
      socket.removeListener('error', onError)
      socket.removeListener('close', onClose)
    }
    const fail = (error: unknown): void => {
      settle()
      socket.on('error', () => {})
      socket.destroy()
      reject(error)
    }
    const onAbort = (): void => fail(signal.reason)
    const onError = (error: Error): void => fail(unavailable(endpoint, error))
    const onClose = (): void => fail(unavailable(endpoint, new Error('the connection was closed')))
    signal.addEventListener('abort', onAbort, { once: true })
    socket.once('error', onError)
    socket.once('close', onClose)
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => {
      settle()
      socket.setKeepAlive(true, TCP_KEEPALIVE_MS)
      resolve(socket)
    })
  })
}

function unavailable(endpoint: string, cause: Error): WeirError {
  /* Several addresses tried: the errors of each are in the aggregate. */
  const inner =
    cause instanceof AggregateError && cause.message === '' ? String(cause.errors[0]) : cause.message
  return new WeirError('UNAVAILABLE', `${endpoint} cannot be reached: ${inner}`, { sent: false, cause })
}

import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { WeirError } from '../../core/errors.ts'
import { answerOfError } from './answer.ts'
import type { ClientResponse } from './client-message.ts'
import { CORRELATION_HEADER } from './field-names.ts'
import type { Front } from './front.ts'

type ServerSocket = Socket & { readonly _httpMessage?: ClientResponse | null }

/** What the parser refused, answered on the bare socket, because there is no request to answer. */
export function answerParseError(error: NodeJS.ErrnoException, socket: ServerSocket, front: Front): void {
  const current = socket._httpMessage
  const isAnswering = current !== undefined && current !== null
  if (isAnswering && current.req.complete && error.code !== 'ECONNRESET') {
    /* The fault lies behind a sound request, whose response may still go out. */
    current.shouldKeepAlive = false
    current.once('finish', () => socket.destroy())
    return
  }
  if (error.code === 'ECONNRESET' || !socket.writable || (isAnswering && current.headersSent)) {
    socket.destroy()
    return
  }
  if (isAnswering && current.owner !== undefined) {
    current.owner.requestBroken(notHttp(error))
    return
  }
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      refuseSocket(
        socket,
        new WeirError('TOO_LARGE', `the request head is over ${front.settings.maxHeaderBytes} bytes`),
        431,
        front,
      )
      break
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      refuseSocket(socket, new WeirError('TIMEOUT', 'the request head did not come in time'), 408, front)
      break
    default:
      refuseSocket(socket, notHttp(error), 400, front)
  }
}

function notHttp(error: Error): WeirError {
  return new WeirError('INVALID_ARGUMENT', `the request is not HTTP/1.1: ${error.message}`)
}

/** Writes an answer by hand and ends the connection. */
export function refuseSocket(socket: Duplex, error: WeirError, status: number, front: Front): void {
  const id = front.ids.next()
  const { headers, body } = answerOfError(error, id, status)
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status]!}\r\nconnection: close\r\n`
  for (let at = 0; at < headers.length; at += 2) head += `${headers[at]}: ${headers[at + 1]}\r\n`
  head += `${CORRELATION_HEADER}: ${id}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n`
  socket.on('error', () => undefined)
  socket.end(head + body, () => socket.destroy())
  front.probe.requestDone?.({
    correlationId: id,
    requestId: id,
    route: '',
    method: '',
    path: '',
    status,
    durationMs: 0,
    decision: 'error',
    decidedBy: undefined,
    error: error.code,
    reason: error.message,
    bypassed: [],
  })
}

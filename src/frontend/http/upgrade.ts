import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type ClientRequest, ClientResponse } from './client-message.ts'

/** A client that asked for WebSocket: its connection, and what it sent behind its request. */
export interface UpgradeOffer {
  readonly socket: Socket
  readonly head: Buffer
}

/**
 * Node hands over the bare socket of an upgrade. This gives it a response like any other request has, for
 * everything short of a 101: refusals, and upstreams that do not switch.
 */
export function responseFor(request: ClientRequest, socket: Duplex): ClientResponse {
  const response = new ClientResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(socket as Socket)
  response.on('finish', () => {
    response.detachSocket(socket as Socket)
    ;(socket as Socket).destroySoon()
    /* Node does this only for responses it made itself. */
    process.nextTick(() => response.emit('close'))
  })
  socket.on('error', () => undefined)
  return response
}

/** Hands the socket back: from here on it carries frames. */
export function switchProtocols(
  response: ClientResponse,
  { socket, head }: UpgradeOffer,
  fields: readonly string[],
): void {
  let text = 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n'
  for (let at = 0; at < fields.length; at += 2) text += `${fields[at]}: ${fields[at + 1]}\r\n`
  response.detachSocket(socket)
  socket.write(`${text}\r\n`, 'latin1')
  if (head.length > 0) socket.unshift(head)
  socket.setNoDelay(true)
  /* A peer that vanished without a word is noticed by the kernel. */
  socket.setKeepAlive(true, 30_000)
  socket.setTimeout(0)
}

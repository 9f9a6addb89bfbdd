import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { type Clock, systemClock } from '../../core/clock.ts'
import { WeirError } from '../../core/errors.ts'
import type { Encoding, RegistrationRequest } from '../../wire/codec.ts'
import type { NewcomerOptions } from '../channel/newcomers.ts'
import type { SocketMode } from '../channel/socket-file.ts'
import { listenSockets } from '../channel/socket-listener.ts'
import type { Connection } from '../connection.ts'
import { parseBindAddress } from '../endpoint.ts'
import type { Listener } from '../proxy-link.ts'
import { type ClientCertificate, clientCertificateOf, type TlsServerOptions } from '../tls-options.ts'
import { Registration, type RegistrationHost } from './registration.ts'

/** Who dialed in, as far as the socket tells. */
export interface ReversePeer {
  readonly address: string
  /** Verified against `tls.clientCa`. */
  readonly certificate: ClientCertificate | undefined
}

/** Whether an agent may come in. */
export type Admission =
  | {
      readonly isAdmitted: true
      /** Told to the agent; unique per connection. */
      readonly connectionId: string
      /** Gives back what the admission reserved, when the agent hung up meanwhile. */
      readonly withdraw?: () => void
    }
  | {
      readonly isAdmitted: false
      /**
       * Told to the agent. Use the default for unknown ids and for bad tokens alike, so that neither can be
       * guessed; name a full house only to agents that proved who they are.
       */
      readonly reason?: string
    }

export interface ReverseListenerOptions {
  /** What we call ourselves in the answer. */
  readonly proxyId: string
  readonly proxyVersion: string
  /**
   * Decides on an agent: id, token (see `tokenMatches`), certificate, allow-list and capacity. Whatever it
   * reserves is reserved when it resolves; only then is success written. A rejection refuses.
   */
  readonly admit: (request: RegistrationRequest, peer: ReversePeer) => Admission | Promise<Admission>
  /** An admitted agent's connection. Called before any event can be lost: observe it in this turn. */
  readonly onConnection: (connection: Connection, request: RegistrationRequest) => void
  /** Refusals and failures before admission, for logs. */
  readonly onRefused?: (peer: ReversePeer, reason: WeirError) => void
  /** Mode of a socket file. Default 0o600. */
  readonly mode?: SocketMode
  readonly tls?: TlsServerOptions | undefined
  /** Encodings this side may choose when the agent offers them (our extension). Default both. */
  readonly encodings?: readonly Encoding[]
  /** Milliseconds over TLS handshake, registration and admission, each. Default 10,000. */
  readonly registrationTimeoutMs?: number
  /**
   * Sockets at once that have not registered. One more, and the one that has been silent for longest is closed: idle
   * sockets, which cost an outsider nothing, must not keep agents out. As many more may be in their TLS handshake.
   * Default 128.
   */
  readonly maxPendingRegistrations?: number
  readonly clock?: Clock
}

/**
 * Accepts agents that dial in.
 * @param address `unix:path`, `tcp://host:port` or `tls://host:port` (with `options.tls`)
 */
export function listenReverse(address: string, options: ReverseListenerOptions): Promise<Listener> {
  const clock = options.clock ?? systemClock
  const timeoutMs = options.registrationTimeoutMs ?? 10_000
  const maxPending = options.maxPendingRegistrations ?? 128
  const pending = new Set<Registration>()
  const admitted = new Set<Connection>()
  const host: RegistrationHost = {
    ...options,
    timeoutMs,
    clock,
    onSettled(registration, connection) {
      pending.delete(registration)
      connection?.keepIn(admitted)
    },
  }
  const place = parseBindAddress(address)
  const handshakes: NewcomerOptions = {
    max: maxPending,
    timeoutMs,
    clock,
    onDropped: (peer, reason) => options.onRefused?.({ address: peer, certificate: undefined }, reason),
  }
  return listenSockets({
    address: place,
    mode: options.mode,
    tls: options.tls,
    handshakes: place.kind === 'tls' ? handshakes : undefined,
    onSocket: accept,
    closeAccepted,
  })

  function accept(socket: Socket, peerAddress: string): void {
    const certificate = socket instanceof TLSSocket ? clientCertificateOf(socket) : undefined
    const peer = { address: peerAddress, certificate }
    if (pending.size >= maxPending && !makeRoom()) {
      socket.on('error', () => {})
      socket.destroy()
      options.onRefused?.(peer, tooMany())
      return
    }
    pending.add(new Registration(socket, peer, host))
  }

  function makeRoom(): boolean {
    for (const registration of pending) {
      if (!registration.isSilent) continue
      pending.delete(registration)
      registration.cancel(tooMany())
      return true
    }
    return false
  }

  function tooMany(): WeirError {
    return new WeirError('OVERLOADED', `more than ${maxPending} agents are registering`)
  }

  async function closeAccepted(): Promise<void> {
    const reason = new WeirError('CANCELLED', 'the listener is closing')
    for (const registration of pending) registration.cancel(reason)
    await Promise.all([...admitted].map((connection) => connection.close()))
  }
}

import type { Socket } from 'node:net'
import type { Clock, TimerHandle } from '../../core/clock.ts'
import { WeirError } from '../../core/errors.ts'
import type { RegistrationRequest } from '../../wire/codec.ts'
import { udsProxyCodec } from '../../wire/uds/proxy-codec.ts'
import { MAX_MESSAGE_BYTES } from '../channel/byte-channel.ts'
import { SocketChannel } from '../channel/socket-channel.ts'
import { type ConnectionTraits, MuxConnection } from '../proxy-end/mux-connection.ts'
import { chooseOffered } from './encoding-extension.ts'
import type { Admission, ReverseListenerOptions, ReversePeer } from './reverse-listener.ts'

/** Bytes a registration may have. */
const MAX_REGISTRATION_BYTES = 64 * 1024
const PROTOCOL_VERSION = 2
/** The origin's wording; one text for every reason that an outsider could learn from. */
export const REGISTRATION_REJECTED = 'Invalid message format: Registration rejected'

const TRAITS: ConnectionTraits = {
  transport: 'reverse',
  configureAck: 'reply',
  isExclusive: false,
  maxMessageBytes: MAX_MESSAGE_BYTES,
}

/**
 * One socket on its way from accepted to admitted, under a deadline and a byte cap. Nothing of an admitted
 * connection refers to it.
 */
export class Registration {
  readonly #peer: ReversePeer
  readonly #host: RegistrationHost
  readonly #codec = udsProxyCodec()
  readonly #connection: MuxConnection
  readonly #deadline: TimerHandle
  #isRefused = false
  #isSilent = true

  constructor(socket: Socket, peer: ReversePeer, host: RegistrationHost) {
    this.#peer = peer
    this.#host = host
    this.#connection = new MuxConnection(
      new SocketChannel(socket, peer.address),
      this.#codec,
      TRAITS,
      {
        onRegistration: (request) => this.#onRegistration(request),
        onFailed: (reason) => this.#onFailed(reason),
      },
      host.clock,
      MAX_REGISTRATION_BYTES,
    )
    const { timeoutMs } = host
    this.#deadline = host.clock.setTimer(timeoutMs, () =>
      this.#connection.destroy(
        new WeirError('TIMEOUT', `${peer.address} was not registered within ${timeoutMs} ms`),
      ),
    )
  }

  /** Nothing that registers came yet. */
  get isSilent(): boolean {
    return this.#isSilent
  }

  /** Drops the socket; whatever is decided about it comes too late. */
  cancel(reason: WeirError): void {
    this.#connection.destroy(reason)
  }

  #onRegistration(request: RegistrationRequest): void {
    this.#isSilent = false
    const wrong = invalid(request)
    if (wrong !== undefined) {
      this.#refuse(wrong)
      return
    }
    const connection = this.#connection
    /* Nothing more is taken from a peer that is not known yet. */
    connection.pauseReading()
    connection.expectNothing()
    this.#decide(request).catch((error: unknown) => connection.destroy(WeirError.from(error)))
  }

  async #decide(request: RegistrationRequest): Promise<void> {
    let admission: Admission
    try {
      admission = await this.#host.admit(request, this.#peer)
    } catch (error) {
      this.#refuse(REGISTRATION_REJECTED, error)
      return
    }
    if (!admission.isAdmitted) this.#refuse(admission.reason ?? REGISTRATION_REJECTED)
    else if (this.#connection.isClosed) admission.withdraw?.()
    else this.#admit(request, admission.connectionId)
  }

  #admit(request: RegistrationRequest, connectionId: string): void {
    const connection = this.#connection
    const { proxyId, proxyVersion, encodings } = this.#host
    const encoding = chooseOffered(request.metadata, encodings ?? ['msgpack', 'json'])
    this.#deadline.cancel()
    connection.write((codec, out) =>
      codec.writeRegistrationResponse(
        { success: true, proxyId, proxyVersion, connectionId, ...(encoding === 'json' ? {} : { encoding }) },
        out,
      ),
    )
    /* MessagePack is offered here by our own SDK alone, which reads bin. */
    this.#codec.useEncoding(encoding, encoding === 'msgpack')
    connection.admit(request.capabilities)
    this.#host.onSettled(this, connection)
    this.#host.onConnection(connection, request)
    connection.resumeReading()
  }

  #refuse(error: string, cause?: unknown): void {
    const connection = this.#connection
    if (connection.isClosed) return
    this.#isRefused = true
    const { proxyId, proxyVersion } = this.#host
    connection.write((codec, out) =>
      codec.writeRegistrationResponse(
        { success: false, error, proxyId, proxyVersion, connectionId: '' },
        out,
      ),
    )
    this.#deadline.cancel()
    this.#host.onSettled(this, undefined)
    this.#host.onRefused?.(this.#peer, new WeirError('PERMISSION_DENIED', error, { cause }))
    void connection.close()
  }

  #onFailed(reason: WeirError): void {
    this.#deadline.cancel()
    this.#host.onSettled(this, undefined)
    if (!this.#isRefused) this.#host.onRefused?.(this.#peer, reason)
  }
}

/** What the registrations of a listener share. */
export interface RegistrationHost extends ReverseListenerOptions {
  readonly timeoutMs: number
  readonly clock: Clock
  /** With the admitted connection, or undefined when the agent was refused or went away (then perhaps twice). */
  readonly onSettled: (registration: Registration, connection: MuxConnection | undefined) => void
}

function invalid({ protocolVersion, agentId }: RegistrationRequest): string | undefined {
  if (protocolVersion !== PROTOCOL_VERSION)
    return `Protocol version mismatch: expected ${PROTOCOL_VERSION}, got ${protocolVersion}`
  if (agentId === '') return 'Invalid message format: Agent ID cannot be empty'
  return undefined
}

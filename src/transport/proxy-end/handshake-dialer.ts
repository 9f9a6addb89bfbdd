import type { Clock } from '../../core/clock.ts'
import { type ErrorCode, WeirError } from '../../core/errors.ts'
import type {
  Encoding,
  HandshakeRequest,
  HandshakeResponse,
  ProxyCodec,
  SwitchableEncoding,
} from '../../wire/codec.ts'
import type { ByteChannel } from '../channel/byte-channel.ts'
import type { Connection, Dialer, HandshakeOptions } from '../connection.ts'
import { type ConnectionTraits, type Greeting, MuxConnection } from './mux-connection.ts'

/** Bytes an agent's handshake response may have. */
const MAX_GREETING_BYTES = 64 * 1024

/** What a transport adds to the one way connections are made. */
export interface DialRecipe {
  readonly endpoint: string
  readonly traits: ConnectionTraits
  /** Protocol versions offered, best first. */
  readonly versions: readonly number[]
  /** Encodings offered, best first; empty where the transport has no choice. */
  readonly encodings: readonly Encoding[]
  readonly codec: () => ProxyCodec & Partial<SwitchableEncoding>
  /** Resolves with a channel that nobody has started. Rejects with UNAVAILABLE, or the signal's reason. */
  readonly connect: (signal: AbortSignal) => Promise<ByteChannel>
}

/** Dials, shakes hands and delivers the configuration: the same for every transport with a handshake. */
export class HandshakeDialer implements Dialer {
  readonly endpoint: string
  readonly #recipe: DialRecipe
  readonly #handshake: HandshakeOptions
  readonly #clock: Clock

  constructor(recipe: DialRecipe, handshake: HandshakeOptions, clock: Clock) {
    this.endpoint = recipe.endpoint
    this.#recipe = recipe
    this.#handshake = handshake
    this.#clock = clock
  }

  async dial(signal: AbortSignal): Promise<Connection> {
    const attempt = new AbortController()
    const cancel = (): void => attempt.abort(cancelled(this.endpoint))
    if (signal.aborted) throw cancelled(this.endpoint)
    signal.addEventListener('abort', cancel, { once: true })
    const { connectTimeoutMs } = this.#handshake
    const timer = this.#clock.setTimer(connectTimeoutMs, () =>
      attempt.abort(late(this.endpoint, connectTimeoutMs)),
    )
    try {
      const connection = await this.#greet(attempt.signal)
      timer.cancel()
      await this.#configure(connection, attempt.signal)
      return connection
    } catch (error) {
      if (attempt.signal.aborted) throw attempt.signal.reason
      throw asDialError(error)
    } finally {
      timer.cancel()
      signal.removeEventListener('abort', cancel)
    }
  }

  async #greet(signal: AbortSignal): Promise<MuxConnection> {
    const recipe = this.#recipe
    const channel = await recipe.connect(signal)
    const codec = recipe.codec()
    return new Promise((resolve, reject) => {
      const greeting: Greeting = {
        onHandshakeResponse: (response) => {
          this.#check(response)
          /* In this turn: what follows in the same chunk is already in the chosen encoding. */
          codec.useEncoding?.(response.encoding, response.rawBodies === true)
          connection.admit(response.capabilities)
          resolve(connection)
        },
        onFailed: reject,
      }
      const { traits } = recipe
      const connection = new MuxConnection(channel, codec, traits, greeting, this.#clock, MAX_GREETING_BYTES)
      dropWhenAborted(connection, signal)
      try {
        connection.write((writer, out) => writer.writeHandshake(this.#request(), out))
      } catch (error) {
        connection.destroy(WeirError.from(error))
      }
    })
  }

  #request(): HandshakeRequest {
    const { proxyId, proxyVersion, config } = this.#handshake
    const { versions, encodings } = this.#recipe
    return { supportedVersions: versions, proxyId, proxyVersion, config, supportedEncodings: encodings }
  }

  /** @throws WeirError PERMISSION_DENIED, PROTOCOL_ERROR */
  #check(response: HandshakeResponse): void {
    const { versions, encodings } = this.#recipe
    if (!response.success) {
      const reason = response.error || 'no reason given'
      throw new WeirError('PERMISSION_DENIED', `${this.endpoint} refused the handshake: ${reason}`)
    }
    if (!versions.includes(response.protocolVersion)) {
      const offered = versions.join(', ')
      throw new WeirError(
        'PROTOCOL_ERROR',
        `${this.endpoint} speaks protocol version ${response.protocolVersion}; offered: ${offered}`,
      )
    }
    if (response.encoding !== 'json' && !encodings.includes(response.encoding))
      throw new WeirError(
        'PROTOCOL_ERROR',
        `${this.endpoint} chose ${response.encoding}, which was not offered`,
      )
  }

  async #configure(connection: MuxConnection, signal: AbortSignal): Promise<void> {
    const { config, configVersion, configTimeoutMs } = this.#handshake
    if (config === undefined || config === null) return
    try {
      await connection.deliverConfiguration(config, configVersion, configTimeoutMs, true)
    } catch (error) {
      connection.destroy(WeirError.from(error))
      throw error
    }
    if (signal.aborted) throw signal.reason
  }
}

function dropWhenAborted(connection: MuxConnection, signal: AbortSignal): void {
  const drop = (): void => connection.destroy(signal.reason as WeirError)
  if (signal.aborted) drop()
  else signal.addEventListener('abort', drop, { once: true })
}

function cancelled(endpoint: string): WeirError {
  return new WeirError('CANCELLED', `dialing ${endpoint} was called off`, { sent: false })
}

function late(endpoint: string, timeoutMs: number): WeirError {
  const message = `${endpoint} did not complete its handshake within ${timeoutMs} ms`
  return new WeirError('TIMEOUT', message, { sent: false })
}

/**
 * What a failure means to whoever dials. A link that was lost before it was ready, or a call that the other side
 * ended for reasons of its own, is an agent that is not there.
 */
function asDialError(thrown: unknown): WeirError {
  const error = WeirError.from(thrown, 'UNAVAILABLE')
  const code = dialCodeOf(error)
  return code === error.code ? error : new WeirError(code, error.message, { sent: false, cause: error })
}

function dialCodeOf({ code, sent }: WeirError): ErrorCode {
  /* Our own handshake could not be encoded. */
  if (!sent) return code
  switch (code) {
    case 'TIMEOUT':
    case 'PROTOCOL_ERROR':
    case 'PERMISSION_DENIED':
    case 'CANCELLED':
    case 'INTERNAL':
      return code
    case 'UNAUTHENTICATED':
      return 'PERMISSION_DENIED'
    case 'TOO_LARGE':
      return 'PROTOCOL_ERROR'
    default:
      return 'UNAVAILABLE'
  }
}

import type {
  CancelReason,
  ConfigUpdateRequest,
  FlowSignal,
  HealthReport,
  LogMessage,
  MetricsReport,
} from '../../core/agent-messages.ts'
import type { Clock, TimerHandle } from '../../core/clock.ts'
import { WeirError } from '../../core/errors.ts'
import type { AgentEvent, ConfigureEvent } from '../../core/event.ts'
import { type AgentReply, plainAllow, reply as replyOf } from '../../core/reply.ts'
import type { ByteWriter } from '../../wire/byte-writer.ts'
import type {
  AgentCodec,
  Encoding,
  HandshakeRequest,
  MessageReader,
  ProxyMessageSink,
  RegistrationResponse,
  SwitchableEncoding,
} from '../../wire/codec.ts'
import type { ByteChannel, ChannelListener } from '../channel/byte-channel.ts'
import { ChannelEnd } from '../channel/channel-end.ts'
import { type DrainListener, TickWriter } from '../channel/tick-writer.ts'
import { refusalNotice } from '../configuration-refusal.ts'
import type { TransportName } from '../connection.ts'
import type { AgentEndOptions, ProxyLink } from '../proxy-link.ts'
import { chooseEncoding, OUR_PROXY_ID } from './encoding-choice.ts'

/** Bytes a handshake may have: it can carry a whole configuration. */
const MAX_GREETING_BYTES = 1024 * 1024
/** Messages read ahead while a configuration is being applied. Proxies that wait for it send none. */
const MAX_POSTPONED = 256
const DEFAULT_HANDSHAKE_TIMEOUT_MS = 10_000
/** The one version this side speaks. */
const PROTOCOL_VERSION = 2

/** What differs between the transports that an agent is served on. */
export interface LinkTraits {
  readonly transport: TransportName
  /** How this wire acknowledges a configuration: by a reply, or by answering a later ping. */
  readonly configureAck: 'reply' | 'pong'
  /** Encodings this side may choose; empty where the transport has no choice. */
  readonly encodings: readonly Encoding[]
  /** Who speaks first: a proxy shakes hands; where the agent dials in, it registered and this answers. */
  readonly greeting: 'handshake' | RegistrationGreeting
  /** Largest message accepted once the link is open, bytes. */
  readonly maxMessageBytes: number
  /** What came with the stream, names in lower case; absent where the wire carries none. */
  readonly metadata?: Readonly<Record<string, string>> | undefined
}

/** The answer to a registration decides the link's start. */
export interface RegistrationGreeting {
  /** A throw refuses the link. */
  readonly onResponse: (response: RegistrationResponse) => void
  readonly onFailed: (reason: WeirError) => void
}

type LinkState = 'greeting' | 'open' | 'closed'

let lastId = 0

/**
 * The agent's end of a link, the same for every transport: events in, replies out. Reading stops while the proxy
 * does not take our replies; what arrives behind a configuration waits until it is applied.
 */
export class AgentLink implements ProxyLink, ProxyMessageSink, ChannelListener, DrainListener {
  readonly id = ++lastId
  readonly transport: TransportName
  readonly #channel: ByteChannel
  readonly #codec: AgentCodec & Partial<SwitchableEncoding>
  readonly #traits: LinkTraits
  readonly #options: AgentEndOptions
  readonly #reader: MessageReader
  readonly #out: TickWriter
  readonly #end: ChannelEnd
  readonly #deadline: TimerHandle
  #state: LinkState = 'greeting'
  #proxyId = ''
  #proxyVersion = ''
  /** What arrived behind a configuration that is still being applied; undefined: none is. */
  #behindConfigure: (() => void)[] | undefined
  /** Events whose data outlived their delivery. */
  #kept = 0

  constructor(
    channel: ByteChannel,
    codec: AgentCodec & Partial<SwitchableEncoding>,
    traits: LinkTraits,
    options: AgentEndOptions,
    clock: Clock,
  ) {
    this.transport = traits.transport
    this.#channel = channel
    this.#codec = codec
    this.#traits = traits
    this.#options = options
    this.#end = new ChannelEnd(channel, clock)
    this.#out = new TickWriter(channel, this)
    this.#reader = codec.reader(this)
    this.#reader.setMaxPayloadBytes(MAX_GREETING_BYTES)
    if (options.reusesBodyMemory === true) this.#reader.reuse(() => this.#kept)
    const timeoutMs = options.handshakeTimeoutMs ?? DEFAULT_HANDSHAKE_TIMEOUT_MS
    this.#deadline = clock.setTimer(timeoutMs, () =>
      this.#shut(new WeirError('TIMEOUT', `${this.peer} did not greet within ${timeoutMs} ms`)),
    )
    channel.start(this)
  }

  get peer(): string {
    return this.#channel.peer
  }

  get proxyId(): string {
    return this.#proxyId
  }

  get proxyVersion(): string {
    return this.#proxyVersion
  }

  get metadata(): Readonly<Record<string, string>> | undefined {
    return this.#traits.metadata
  }

  get isClosed(): boolean {
    return this.#state === 'closed'
  }

  get isWritable(): boolean {
    return this.#state === 'open' && this.#out.isWritable
  }

  reply(reply: AgentReply): void {
    if (this.#state === 'open') this.#codec.writeReply(reply, this.#out.open())
  }

  sendHealth(report: HealthReport): void {
    if (this.#state === 'open') this.#codec.writeHealth(report, this.#out.open())
  }

  sendFlow(signal: FlowSignal): void {
    if (this.#state === 'open') this.#codec.writeFlow(signal, this.#out.open())
  }

  sendMetrics(report: MetricsReport): void {
    if (this.#state === 'open') this.#codec.writeMetrics(report, this.#out.open())
  }

  sendLog(message: LogMessage): void {
    if (this.#state === 'open') this.#codec.writeLog(message, this.#out.open())
  }

  sendConfigUpdate(request: ConfigUpdateRequest): void {
    if (this.#state === 'open') this.#codec.writeConfigUpdate(request, this.#out.open())
  }

  /** Writes what belongs to the greeting. */
  greet(encode: (codec: AgentCodec, out: ByteWriter) => void): void {
    if (this.#state === 'greeting') encode(this.#codec, this.#out.open())
  }

  /** Resolves when every connection detail is gone, within about a second. */
  get gone(): Promise<void> {
    return this.#end.gone
  }

  close(): Promise<void> {
    this.#shut(new WeirError('CONNECTION_LOST', `the link to ${this.peer} was closed by this side`))
    return this.#end.gone
  }

  destroy(reason: WeirError): void {
    this.#shut(reason)
    this.#channel.destroy(reason)
  }

  onData(chunk: Buffer): void {
    if (this.#state === 'closed') return
    try {
      this.#reader.push(chunk)
    } catch (error) {
      this.#shut(WeirError.from(error))
      return
    }
    if (this.#state === 'open' && !this.#out.isWritable) this.#channel.pause()
  }

  /** For handlers: the data of an event is still in use when they return. */
  keepData(): void {
    this.#kept++
  }

  keptCount(): number {
    return this.#kept
  }

  heldBytes(): number {
    return this.#reader.bufferedBytes
  }

  moveHeld(to: Buffer): number {
    return this.#reader.moveHeld(to)
  }

  onEnd(reason: WeirError | undefined): void {
    if (this.#state === 'closed') return
    try {
      this.#reader.end()
    } catch (error) {
      this.#shut(WeirError.from(error))
      return
    }
    this.#shut(reason ?? new WeirError('CONNECTION_LOST', `${this.peer} closed the connection`))
  }

  /** A proxy that retires keeps its stream until it ends it. */
  onRetiring(): void {}

  onClosed(error: WeirError | undefined): void {
    this.#end.onClosed()
    this.#shut(error ?? new WeirError('CONNECTION_LOST', `the connection to ${this.peer} is gone`))
  }

  onHandshake(request: HandshakeRequest): void {
    if (this.#state === 'closed') return
    if (this.#traits.greeting !== 'handshake')
      throw new WeirError('PROTOCOL_ERROR', `${this.peer} sent a handshake after a registration`)
    const success = request.supportedVersions.includes(PROTOCOL_VERSION)
    const encoding = success ? chooseEncoding(request, this.#traits.encodings) : 'json'
    const offered = request.supportedVersions.join(', ')
    const response = {
      protocolVersion: success ? PROTOCOL_VERSION : 0,
      capabilities: this.#options.capabilities(),
      success,
      error: success
        ? undefined
        : `no common protocol version: offered ${offered}, known ${PROTOCOL_VERSION}`,
      encoding,
      rawBodies: encoding === 'msgpack',
    }
    this.#codec.writeHandshakeResponse(response, this.#out.open())
    if (!success) {
      this.#shut(new WeirError('PROTOCOL_ERROR', `${this.peer} offered protocol versions ${offered} only`))
      return
    }
    this.#codec.useEncoding?.(encoding)
    this.#open(request.proxyId, request.proxyVersion)
  }

  onRegistrationResponse(response: RegistrationResponse): void {
    if (this.#state === 'closed') return
    const { greeting } = this.#traits
    if (greeting === 'handshake' || this.#state === 'open')
      throw new WeirError('PROTOCOL_ERROR', `${this.peer} answered a registration that was not sent`)
    greeting.onResponse(response)
    this.#open(response.proxyId, response.proxyVersion)
  }

  onEvent(event: AgentEvent): void {
    if (!this.#isOpen()) return
    if (this.#behindConfigure !== undefined) this.#postpone(() => this.onEvent(event))
    else if (event.kind === 'configure') this.#configure(event)
    else this.#options.handler.onEvent(event, this)
  }

  onMalformedEvent(correlationId: string, error: WeirError): void {
    if (!this.#isOpen()) return
    if (this.#behindConfigure !== undefined) {
      this.#postpone(() => this.onMalformedEvent(correlationId, error))
      return
    }
    /* Without an id no reply can name it, and a configuration would pass for applied at the next pong. */
    if (correlationId === '' && this.#traits.configureAck === 'pong') throw error
    this.#options.handler.onMalformedEvent(correlationId, error, this)
  }

  onCancel(correlationId: string, reason: CancelReason): void {
    if (!this.#isOpen()) return
    if (this.#behindConfigure !== undefined) this.#postpone(() => this.onCancel(correlationId, reason))
    else this.#options.handler.onCancel(correlationId, reason, this)
  }

  onPing(echo: (out: ByteWriter) => void): void {
    if (!this.#isOpen()) return
    if (this.#behindConfigure !== undefined) this.#postpone(() => this.onPing(echo))
    else echo(this.#out.open())
  }

  #isOpen(): boolean {
    if (this.#state === 'open') return true
    if (this.#state === 'closed') return false
    throw new WeirError('PROTOCOL_ERROR', `${this.peer} sent a message before its handshake`)
  }

  /** Handshakes may be repeated; only the first opens the link. */
  #open(proxyId: string, proxyVersion: string): void {
    this.#proxyId = proxyId
    this.#proxyVersion = proxyVersion
    if (this.#state !== 'greeting') return
    this.#state = 'open'
    this.#reader.setMaxPayloadBytes(this.#traits.maxMessageBytes)
    this.#deadline.cancel()
    this.#options.handler.onOpen(this)
  }

  #configure(event: ConfigureEvent): void {
    this.#behindConfigure = []
    const { config, configVersion, isInitial } = event
    this.#options.handler.onConfigure(config, configVersion, isInitial, this).then(
      () => this.#configured(event, undefined),
      (thrown: unknown) => this.#configured(event, WeirError.from(thrown)),
    )
  }

  /** Reading goes on, so that a proxy that leaves is noticed, but not without bound. */
  #postpone(handle: () => void): void {
    this.#behindConfigure!.push(handle)
    this.#kept++
    if (this.#behindConfigure!.length >= MAX_POSTPONED) this.#channel.pause()
  }

  #configured(event: ConfigureEvent, refusal: WeirError | undefined): void {
    if (this.#state === 'closed') return
    if (this.#traits.configureAck === 'reply') this.reply(acknowledgement(event.correlationId, refusal))
    else if (refusal !== undefined && !event.isInitial && this.#proxyId === OUR_PROXY_ID)
      /* Ending the stream, the protocol's one refusal here, would lose every event that is in hand. */
      this.sendConfigUpdate(refusalNotice(refusal.message))
    else if (refusal !== undefined) {
      this.#shut(new WeirError('PERMISSION_DENIED', refusal.message, { cause: refusal }))
      return
    }
    const waiting = this.#behindConfigure ?? []
    this.#behindConfigure = undefined
    for (const handle of waiting) {
      try {
        handle()
      } catch (error) {
        this.#shut(WeirError.from(error))
        return
      }
    }
    this.#resumeWhenFree()
  }

  /** The proxy takes our replies again. */
  onDrained(): void {
    this.#resumeWhenFree()
  }

  #resumeWhenFree(): void {
    if (this.#behindConfigure === undefined && this.#out.isWritable) this.#channel.resume()
  }

  /** The one way to the state `closed`. The reason is told to a peer whose transport can carry it. */
  #shut(reason: WeirError): void {
    if (this.#state === 'closed') return
    const before = this.#state
    this.#state = 'closed'
    this.#deadline.cancel()
    this.#behindConfigure = undefined
    this.#out.flush()
    this.#out.end()
    this.#end.finish(reason)
    if (before === 'open') this.#options.handler.onClosed(this, reason)
    else if (this.#traits.greeting !== 'handshake') this.#traits.greeting.onFailed(reason)
  }
}

function acknowledgement(correlationId: string, refusal: WeirError | undefined): AgentReply {
  if (refusal === undefined) return plainAllow(correlationId)
  return replyOf(correlationId, { kind: 'block', status: 500, body: refusal.message })
}

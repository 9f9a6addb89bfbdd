import type {
  AgentCapabilities,
  CancelReason,
  ConfigUpdateRequest,
  FlowSignal,
  HealthReport,
  LogMessage,
  MetricsReport,
} from '../../core/agent-messages.ts'
import type { Clock } from '../../core/clock.ts'
import { WeirError } from '../../core/errors.ts'
import type { AgentEvent } from '../../core/event.ts'
import type { AgentReply } from '../../core/reply.ts'
import type { ByteWriter } from '../../wire/byte-writer.ts'
import type {
  AgentMessageSink,
  HandshakeResponse,
  MessageReader,
  ProxyCodec,
  RegistrationRequest,
} from '../../wire/codec.ts'
import type { ByteChannel, ChannelListener } from '../channel/byte-channel.ts'
import { ChannelEnd } from '../channel/channel-end.ts'
import { type DrainListener, TickWriter } from '../channel/tick-writer.ts'
import { refusalReason } from '../configuration-refusal.ts'
import type { Connection, ConnectionObserver, PendingReply, TransportName } from '../connection.ts'
import { pushConfiguration } from './configuration.ts'
import { EarlyMessages } from './early-messages.ts'
import { eventsWaiting, PendingTable } from './pending-table.ts'
import { Pings } from './pings.ts'
import { sharedCapabilities } from './shared-capabilities.ts'

/** What differs between the transports that a connection runs on. */
export interface ConnectionTraits {
  readonly transport: TransportName
  /** How the wire acknowledges a configuration: by a reply, or by the pong of a ping sent behind it. */
  readonly configureAck: 'reply' | 'pong'
  /** One event at a time; such a wire has neither ping nor cancel. */
  readonly isExclusive: boolean
  /** Largest message accepted once the connection is admitted, bytes. */
  readonly maxMessageBytes: number
}

/** The agent's first message, before which nothing else is accepted. A throw fails the connection. */
export interface Greeting {
  readonly onHandshakeResponse?: (response: HandshakeResponse) => void
  readonly onRegistration?: (request: RegistrationRequest) => void
  /** The connection ended before it was admitted. */
  readonly onFailed: (reason: WeirError) => void
}

/**
 * Events that wait in this process up to which none is held back for a shared write. Measured over Unix sockets: gathering
 * costs up to a third of the throughput with 8 in flight, and pays from 16 on. See bench/README.md.
 */
const FEW_EVENTS = 8

let lastId = 0

/**
 * The proxy's end of a link, the same for every transport: events out, replies matched to those who wait. A
 * connection is `greeting` until `admit` is called, `ready` then, and `closed` for good by whatever comes first:
 * the peer's end, an error, garbage, or ourselves.
 */
export class MuxConnection implements Connection, AgentMessageSink, ChannelListener, DrainListener {
  readonly id = ++lastId
  readonly isExclusive: boolean
  readonly #traits: ConnectionTraits
  readonly #channel: ByteChannel
  readonly #codec: ProxyCodec
  readonly #reader: MessageReader
  readonly #out: TickWriter
  /** Configurations that wait for their pong, oldest first: each takes the reason of its refusal. */
  refusable: ((reason: string) => void)[] | undefined
  readonly #clock: Clock
  /** Made when needed, as what an idle connection holds is held thousands of times. */
  #pendings: PendingTable | undefined
  #pings: Pings | undefined
  #end: ChannelEnd | undefined
  #keptIn: Set<Connection> | undefined
  #greeting: Greeting | undefined
  #observer: ConnectionObserver = new EarlyMessages()
  #capabilities: AgentCapabilities | undefined
  #closedBy: WeirError | undefined
  #hasPeerEnded = false
  #pingsSent = 0

  /** `maxGreetingBytes` bounds messages before the connection is admitted. */
  constructor(
    channel: ByteChannel,
    codec: ProxyCodec,
    traits: ConnectionTraits,
    greeting: Greeting,
    clock: Clock,
    maxGreetingBytes: number,
  ) {
    this.isExclusive = traits.isExclusive
    this.#traits = traits
    this.#channel = channel
    this.#codec = codec
    this.#greeting = greeting
    this.#clock = clock
    this.#out = new TickWriter(channel, this)
    this.#reader = codec.reader(this)
    this.#reader.setMaxPayloadBytes(maxGreetingBytes)
    channel.start(this)
  }

  get transport(): TransportName {
    return this.#traits.transport
  }

  get peer(): string {
    return this.#channel.peer
  }

  get capabilities(): AgentCapabilities {
    if (this.#capabilities === undefined) throw new WeirError('INTERNAL', `${this.peer} was not admitted yet`)
    return this.#capabilities
  }

  get isClosed(): boolean {
    return this.#closedBy !== undefined
  }

  /** Why the connection ended, once it has. */
  get closedBy(): WeirError | undefined {
    return this.#closedBy
  }

  /** The peer ended in good order, as opposed to a lost or broken link. */
  get hasPeerEnded(): boolean {
    return this.#hasPeerEnded
  }

  get isWritable(): boolean {
    return this.#closedBy === undefined && this.#out.isWritable
  }

  get isGathering(): boolean {
    return this.#out.isGathering
  }

  get pendingCount(): number {
    return this.#pendings?.size ?? 0
  }

  observe(observer: ConnectionObserver): void {
    const before = this.#observer
    this.#observer = observer
    if (before instanceof EarlyMessages) before.replay(observer)
  }

  /** The peer is who it should be: from now on the connection carries events. */
  admit(capabilities: AgentCapabilities): void {
    this.#capabilities = sharedCapabilities(capabilities)
    this.#greeting = undefined
    this.#reader.setMaxPayloadBytes(this.#traits.maxMessageBytes)
  }

  /** Appends frames that belong to no event: handshake, registration response, ping. */
  write(encode: (codec: ProxyCodec, out: ByteWriter) => void): void {
    if (this.#closedBy !== undefined) throw this.#closedError(this.#closedBy)
    encode(this.#codec, this.#out.open())
  }

  /** Is in this set from now on, until nothing of the connection is left. */
  keepIn(connections: Set<Connection>): void {
    if (this.#end?.isGone === true) return
    this.#keptIn = connections
    connections.add(this)
  }

  /** The greeting came and is being judged: until `admit` whatever else arrives breaks the connection. */
  expectNothing(): void {
    if (this.#greeting !== undefined) this.#greeting = { onFailed: this.#greeting.onFailed }
  }

  /** Stops reading while the peer's admission is being decided. */
  pauseReading(): void {
    this.#channel.pause()
  }

  resumeReading(): void {
    this.#channel.resume()
  }

  send(event: AgentEvent, pending: PendingReply): void {
    if (this.#closedBy !== undefined) throw this.#closedError(this.#closedBy)
    const pendings = this.#pendings ?? this.#beginPendings()
    if (this.isExclusive && pendings.size > 0) throw this.#busyError()
    pendings.insert(pending)
    try {
      /* Among few events each leaves at once. Among many, a write less is worth more. */
      this.#codec.writeEvent(event, this.#out.open(eventsWaiting() > FEW_EVENTS))
    } catch (error) {
      pendings.retract(pending)
      throw error
    }
  }

  abandon(pending: PendingReply): boolean {
    const wasWaiting = this.#pendings?.abandon(pending) ?? false
    /* Replies without an id: the abandoned event's reply would be taken for the next event's. */
    if (wasWaiting && this.isExclusive)
      this.destroy(
        new WeirError('CONNECTION_LOST', `an event to ${this.peer} was abandoned before its reply`),
      )
    return wasWaiting
  }

  cancel(correlationId: string, reason: CancelReason): void {
    if (this.#closedBy !== undefined || this.isExclusive) return
    this.#codec.writeCancel(correlationId, reason, this.#clock.wallMs(), this.#out.open())
  }

  /** A wire without ping resolves with 0 while the connection is open. */
  async ping(timeoutMs: number): Promise<number> {
    if (this.#closedBy !== undefined) throw this.#closedError(this.#closedBy)
    if (this.isExclusive) return 0
    /* Whoever is pinged is idle, perhaps for days: it keeps no room for events. */
    if (this.#pendings?.isBlank === true) this.#pendings = undefined
    this.#pings ??= new Pings(this.#clock)
    return this.#pings.send(this.#pingsSent++, timeoutMs, this.peer, (sequence) => {
      this.#codec.writePing(sequence, this.#clock.wallMs(), this.#out.open())
    })
  }

  configure(config: unknown, version: string | undefined, timeoutMs: number): Promise<void> {
    return this.deliverConfiguration(config, version, timeoutMs, false)
  }

  /** `isInitial`: while the connection is being made, before the first event. */
  deliverConfiguration(
    config: unknown,
    version: string | undefined,
    timeoutMs: number,
    isInitial: boolean,
  ): Promise<void> {
    const ack = this.#traits.configureAck
    return pushConfiguration(this, { config, version, isInitial, timeoutMs, ack }, this.#clock)
  }

  close(): Promise<void> {
    this.#shut(new WeirError('CONNECTION_LOST', `the connection to ${this.peer} was closed by this side`))
    return this.#ending.gone
  }

  destroy(reason: WeirError): void {
    this.#shut(reason, reason)
    this.#channel.destroy(reason)
  }

  onData(chunk: Buffer): void {
    if (this.#closedBy !== undefined) return
    try {
      this.#reader.push(chunk)
    } catch (error) {
      this.#break(WeirError.from(error))
    }
  }

  onEnd(reason: WeirError | undefined): void {
    if (this.#closedBy !== undefined) return
    try {
      this.#reader.end()
    } catch (error) {
      this.#break(WeirError.from(error))
      return
    }
    this.#hasPeerEnded = true
    this.#shut(reason ?? new WeirError('CONNECTION_LOST', `${this.peer} closed the connection`))
  }

  onClosed(error: WeirError | undefined): void {
    this.#ending.onClosed()
    this.#keptIn?.delete(this)
    this.#shut(error ?? new WeirError('CONNECTION_LOST', `the connection to ${this.peer} is gone`))
  }

  onRetiring(): void {
    if (this.#isOpen()) this.#observer.onRetiring()
  }

  onDrained(): void {
    this.#observer.onWritable()
  }

  onReply(reply: AgentReply): void {
    if (!this.#isOpen()) return
    const pending = this.#pendings?.take(reply.correlationId)
    if (pending === undefined) this.#observer.onStrayReply(reply.correlationId)
    else pending.onReply(reply)
  }

  onMalformedReply(correlationId: string, error: WeirError): void {
    if (!this.#isOpen()) return
    const pending = this.#pendings?.take(correlationId)
    if (pending === undefined) this.#observer.onStrayReply(correlationId)
    else pending.onLost(error)
  }

  onHandshakeResponse(response: HandshakeResponse): void {
    this.#greet('a handshake response', this.#greeting?.onHandshakeResponse, response)
  }

  onRegistration(request: RegistrationRequest): void {
    this.#greet('a registration', this.#greeting?.onRegistration, request)
  }

  onHealth(report: HealthReport): void {
    if (this.#isOpen()) this.#observer.onHealth(report)
  }

  onMetrics(report: MetricsReport): void {
    if (this.#isOpen()) this.#observer.onMetrics(report)
  }

  onConfigUpdate(request: ConfigUpdateRequest): void {
    if (!this.#isOpen()) return
    const reason = refusalReason(request)
    if (reason === undefined) this.#observer.onConfigUpdate(request)
    else this.refusable?.shift()?.(reason)
  }

  onFlow(signal: FlowSignal): void {
    if (this.#isOpen()) this.#observer.onFlow(signal)
  }

  onLog(message: LogMessage): void {
    if (this.#isOpen()) this.#observer.onLog(message)
  }

  onPong(sequence: number): void {
    if (!this.#isOpen() || this.#pings === undefined) return
    this.#pings.onPong(sequence)
    if (this.#pings.size === 0) this.#pings = undefined
  }

  onMalformedControl(error: WeirError): void {
    if (!this.#isOpen()) return
    const message = `a control message of ${this.peer} was ignored: ${error.message}`
    this.#observer.onLog({ level: 'warn', message, fields: {}, timestampMs: this.#clock.wallMs() })
  }

  #beginPendings(): PendingTable {
    this.#pendings = new PendingTable()
    return this.#pendings
  }

  get #ending(): ChannelEnd {
    this.#end ??= new ChannelEnd(this.#channel, this.#clock)
    return this.#end
  }

  /** Messages count only after the greeting, and no more once the connection is closed. */
  #isOpen(): boolean {
    if (this.#closedBy !== undefined) return false
    if (this.#greeting === undefined) return true
    throw new WeirError('PROTOCOL_ERROR', `${this.peer} sent a message before its handshake`)
  }

  #greet<M>(what: string, handler: ((message: M) => void) | undefined, message: M): void {
    if (this.#closedBy !== undefined) return
    if (handler === undefined) throw new WeirError('PROTOCOL_ERROR', `${this.peer} sent ${what} out of turn`)
    handler(message)
  }

  #closedError(closedBy: WeirError): WeirError {
    return new WeirError('CONNECTION_LOST', closedBy.message, { sent: false, cause: closedBy })
  }

  #busyError(): WeirError {
    const message = `${this.peer} takes one event at a time and has not answered the last one`
    return new WeirError('CONFLICT', message, { sent: false })
  }

  /** What arrived cannot be understood: nothing after it can be either. */
  #break(reason: WeirError): void {
    this.#shut(reason)
    this.#channel.destroy(reason)
  }

  /** The one way to the state `closed`: flushes, ends our direction, tells everybody who waits. */
  #shut(reason: WeirError, lost = new WeirError('CONNECTION_LOST', reason.message, { cause: reason })): void {
    if (this.#closedBy !== undefined) return
    this.#closedBy = reason
    const greeting = this.#greeting
    this.#greeting = undefined
    this.#out.flush()
    this.#out.end()
    this.#ending.finish(reason)
    this.#pings?.failAll(lost)
    for (const pending of this.#pendings?.drain() ?? []) tellLost(pending, lost)
    greeting?.onFailed(reason)
    this.#observer.onClosed(reason)
  }
}

/** One caller's mistake must not keep the others waiting. */
function tellLost(pending: PendingReply, lost: WeirError): void {
  try {
    pending.onLost(lost)
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}

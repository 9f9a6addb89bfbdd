import { failureCodeOf, failureText, retryAfterOf } from '../../core/agent-failure.ts'
import type {
  CancelReason,
  ConfigUpdateRequest,
  FlowSignal,
  HealthReport,
  LogMessage,
  MetricsReport,
} from '../../core/agent-messages.ts'
import { WeirError } from '../../core/errors.ts'
import type { AgentEvent } from '../../core/event.ts'
import type { AgentReply } from '../../core/reply.ts'
import { ByteWriter } from '../../wire/byte-writer.ts'
import type { AgentCodec, HandshakeRequest, MessageReader, ProxyMessageSink } from '../../wire/codec.ts'
import type { ChannelListener } from '../channel/byte-channel.ts'
import type { AgentEndOptions, ProxyLink } from '../proxy-link.ts'
import { endWithMessage, endWithStatus } from './respond.ts'
import type { ServerCall } from './server-call.ts'

let lastId = 0

/**
 * Serves ProcessEvent: one message, one answer, no handshake before it. Handshake, request headers and ping are
 * answered, anything else is INVALID_ARGUMENT.
 */
export function serveUnaryEvent(
  call: ServerCall,
  codec: AgentCodec,
  agent: AgentEndOptions,
  metadata: Readonly<Record<string, string>>,
): void {
  call.start(new UnaryEvent(call, codec, agent, metadata))
}

class UnaryEvent implements ProxyLink, ProxyMessageSink, ChannelListener {
  /** Below zero, so that it never equals the id of a stream's link. */
  readonly id = --lastId
  readonly transport = 'grpc'
  readonly peer: string
  readonly metadata: Readonly<Record<string, string>>
  readonly proxyId = ''
  readonly proxyVersion = ''
  readonly #call: ServerCall
  readonly #codec: AgentCodec
  readonly #reader: MessageReader
  readonly #agent: AgentEndOptions
  /** The event that the handler works on. */
  #event: AgentEvent | undefined
  #isAnswered = false

  constructor(
    call: ServerCall,
    codec: AgentCodec,
    agent: AgentEndOptions,
    metadata: Readonly<Record<string, string>>,
  ) {
    this.metadata = metadata
    this.#call = call
    this.#codec = codec
    this.#reader = codec.reader(this)
    this.#agent = agent
    this.peer = call.peer
  }

  onData(chunk: Buffer): void {
    try {
      if (!this.#isAnswered) this.#reader.push(chunk)
    } catch (thrown) {
      this.#fail(WeirError.from(thrown, 'PROTOCOL_ERROR'))
    }
  }

  onEnd(): void {
    if (this.#event === undefined) this.#invalid('the call carried no message')
  }

  onRetiring(): void {}

  get isClosed(): boolean {
    return this.#isAnswered
  }

  get isWritable(): boolean {
    return !this.#isAnswered
  }

  /** A call has a status of its own to say that limits refused it, so a limit is no reply here. */
  reply(reply: AgentReply): void {
    const failure = failureCodeOf(reply)
    if (failure === 'RATE_LIMITED') {
      this.#fail(new WeirError(failure, failureText(reply), { retryAfterMs: retryAfterOf(reply) }))
      return
    }
    this.#answer((out) => this.#codec.writeReply(reply, out))
  }

  sendHealth(_report: HealthReport): void {}
  sendFlow(_signal: FlowSignal): void {}
  sendMetrics(_report: MetricsReport): void {}
  sendLog(_message: LogMessage): void {}
  sendConfigUpdate(_request: ConfigUpdateRequest): void {}

  async close(): Promise<void> {
    this.#fail(new WeirError('UNAVAILABLE', 'the agent is closing'))
  }

  destroy(reason: WeirError): void {
    this.#fail(reason)
  }

  onHandshake(_request: HandshakeRequest): void {
    this.#answer((out) => {
      const capabilities = this.#agent.capabilities()
      const facts = { protocolVersion: 2, capabilities, success: true, encoding: 'json' } as const
      this.#codec.writeHandshakeResponse(facts, out)
    })
  }

  onPing(echo: (out: ByteWriter) => void): void {
    this.#answer(echo)
  }

  onEvent(event: AgentEvent): void {
    if (event.kind !== 'request-headers' || this.#event !== undefined) {
      this.#invalid(`ProcessEvent takes one handshake, request_headers or ping; got ${event.kind}`)
      return
    }
    this.#event = event
    this.#agent.handler.onOpen(this)
    this.#agent.handler.onEvent(event, this)
  }

  onMalformedEvent(_correlationId: string, error: WeirError): void {
    this.#fail(error)
  }

  onCancel(_correlationId: string, _reason: CancelReason): void {
    this.#invalid('ProcessEvent takes no cancel')
  }

  onRegistrationResponse(): void {
    this.#invalid('ProcessEvent takes no registration')
  }

  #answer(encode: (out: ByteWriter) => void): void {
    if (this.#isAnswered) return
    const out = new ByteWriter()
    encode(out)
    this.#isAnswered = true
    endWithMessage(this.#call, out.bytes.subarray(0, out.end))
  }

  #invalid(message: string): void {
    this.#fail(new WeirError('INVALID_ARGUMENT', message))
  }

  #fail(error: WeirError): void {
    if (this.#isAnswered) return
    this.#isAnswered = true
    endWithStatus(this.#call, error.grpcStatus, error.message, error.retryAfterMs)
  }

  onClosed(): void {
    const wasAnswered = this.#isAnswered
    this.#isAnswered = true
    if (this.#event === undefined) return
    const { handler } = this.#agent
    if (!wasAnswered) handler.onCancel(this.#event.correlationId, 'client-disconnect', this)
    handler.onClosed(this, new WeirError('CONNECTION_LOST', `${this.peer} ended its call`))
  }
}

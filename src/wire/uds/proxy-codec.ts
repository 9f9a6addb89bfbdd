import { CANCEL_REASONS, type CancelReason } from '../../core/agent-messages.ts'
import type { AgentEvent } from '../../core/event.ts'
import type { ByteWriter } from '../byte-writer.ts'
import type {
  AgentMessageSink,
  Encoding,
  FrameLimits,
  HandshakeRequest,
  MessageReader,
  ProxyCodec,
  RegistrationResponse,
  SwitchableEncoding,
} from '../codec.ts'
import { unsigned } from '../shape/fields.ts'
import { plainHandshakeRequest, plainRegistrationResponse } from '../shape/handshake.ts'
import { agentMessageReader } from './agent-message-reader.ts'
import { FRAME, MAX_PAYLOAD_BYTES } from './frame.ts'
import { writePlainFrame } from './payload.ts'
import { writeEventFrame } from './write-event.ts'

/** One object for all connections that have none. */
const NO_LIMITS: FrameLimits = {}

/** The proxy's end of one connection that carries Unix-socket frames, over whatever stream. */
export function udsProxyCodec(limits: FrameLimits = NO_LIMITS): ProxyCodec & SwitchableEncoding {
  return new UdsProxyCodec(limits)
}

class UdsProxyCodec implements ProxyCodec, SwitchableEncoding {
  #encoding: Encoding = 'json'
  #rawBodies = false
  readonly #limits: FrameLimits
  readonly #maxSendBytes: number

  constructor(limits: FrameLimits) {
    this.#limits = limits
    this.#maxSendBytes = Math.min(limits.maxSendBytes ?? MAX_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES)
  }

  get encoding(): Encoding {
    return this.#encoding
  }

  useEncoding(encoding: Encoding, rawBodies = false): void {
    this.#encoding = encoding
    this.#rawBodies = rawBodies
  }

  writeHandshake(request: HandshakeRequest, out: ByteWriter): void {
    writeJson(this.#maxSendBytes, FRAME.handshakeRequest, plainHandshakeRequest(request), out)
  }

  writeRegistrationResponse(response: RegistrationResponse, out: ByteWriter): void {
    writeJson(this.#maxSendBytes, FRAME.handshakeResponse, plainRegistrationResponse(response), out)
  }

  writeEvent(event: AgentEvent, out: ByteWriter): void {
    writeEventFrame(event, this.#encoding, this.#rawBodies, this.#maxSendBytes, out)
  }

  writeCancel(correlationId: string, reason: CancelReason, timestampMs: number, out: ByteWriter): void {
    const code = CANCEL_REASONS.indexOf(reason)
    const value = { correlation_id: correlationId, reason: code, timestamp_ms: unsigned(timestampMs) }
    writeJson(this.#maxSendBytes, FRAME.cancel, value, out)
  }

  writePing(sequence: number, timestampMs: number, out: ByteWriter): void {
    writeJson(
      this.#maxSendBytes,
      FRAME.ping,
      { sequence: unsigned(sequence), timestamp_ms: unsigned(timestampMs) },
      out,
    )
  }

  reader(sink: AgentMessageSink): MessageReader {
    return agentMessageReader(sink, this, this.#limits)
  }
}

function writeJson(maxSendBytes: number, type: number, value: unknown, out: ByteWriter): void {
  writePlainFrame(type, value, 'json', maxSendBytes, out)
}

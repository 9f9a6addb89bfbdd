import type { CancelReason } from '../../core/agent-messages.ts'
import { type Clock, systemClock } from '../../core/clock.ts'
import { WeirError } from '../../core/errors.ts'
import type { AgentEvent } from '../../core/event.ts'
import type { ByteWriter } from '../byte-writer.ts'
import type {
  AgentMessageSink,
  FrameLimits,
  HandshakeRequest,
  MessageReader,
  ProxyCodec,
  RegistrationResponse,
} from '../codec.ts'
import { FrameSplitter } from '../splitter.ts'
import { unwritable } from '../write-errors.ts'
import { encodeCancel, encodeEvent, encodeHandshake, encodePing } from './encode.ts'
import {
  appendMessage,
  appendPayload,
  beginMessage,
  checkSendable,
  endMessage,
  GRPC_FRAMING,
  PREFIX_BYTES,
  receiveLimit,
  sendLimit,
} from './framing.ts'
import { readAgentMessage } from './read-agent-message.ts'
import { writeBodyChunkProto, writeRequestHeadersProto, writeResponseHeadersProto } from './write-events.ts'

/**
 * The proxy's end of gRPC streams: length-prefixed protobuf messages. Keeps no state, so one serves them all.
 * `clock` gives the sending instants that some events carry.
 */
export function grpcProxyCodec(limits: FrameLimits = {}, clock: Clock = systemClock): ProxyCodec {
  return new GrpcProxyCodec(limits, clock)
}

class GrpcProxyCodec implements ProxyCodec {
  readonly #receiveLimit: number
  readonly #sendLimit: number
  readonly #clock: Clock

  constructor(limits: FrameLimits, clock: Clock) {
    this.#receiveLimit = receiveLimit(limits)
    this.#sendLimit = sendLimit(limits)
    this.#clock = clock
  }

  writeHandshake(request: HandshakeRequest, out: ByteWriter): void {
    appendMessage(encodeHandshake(request), this.#sendLimit, out)
  }

  /** @throws WeirError INVALID_ARGUMENT: agents do not dial in over gRPC. */
  writeRegistrationResponse(_response: RegistrationResponse, _out: ByteWriter): void {
    throw new WeirError('INVALID_ARGUMENT', 'gRPC has no registration', { sent: false })
  }

  writeEvent(event: AgentEvent, out: ByteWriter): void {
    const start = beginMessage(out)
    try {
      this.#writePayload(event, out)
      endMessage(out, start, this.#sendLimit)
    } catch (thrown) {
      out.rewind(start)
      throw unwritable(thrown)
    }
  }

  writeCancel(correlationId: string, reason: CancelReason, timestampMs: number, out: ByteWriter): void {
    appendMessage(encodeCancel(correlationId, reason, timestampMs), this.#sendLimit, out)
  }

  writePing(sequence: number, timestampMs: number, out: ByteWriter): void {
    appendMessage(encodePing(sequence, timestampMs), this.#sendLimit, out)
  }

  reader(sink: AgentMessageSink): MessageReader {
    return new FrameSplitter(GRPC_FRAMING, this.#receiveLimit, (bytes, start, end) => {
      readAgentMessage(bytes, start + PREFIX_BYTES, end, sink)
    })
  }

  #writePayload(event: AgentEvent, out: ByteWriter): void {
    switch (event.kind) {
      case 'request-headers':
        writeRequestHeadersProto(event, out)
        return
      case 'response-headers':
        writeResponseHeadersProto(event, out)
        return
      case 'request-body-chunk':
      case 'response-body-chunk':
        checkSendable(event.data.length, this.#sendLimit)
        writeBodyChunkProto(event, this.#clock.wallMs(), out)
        return
      case 'request-complete':
      case 'websocket-frame':
      case 'guardrail-inspect':
      case 'configure':
        appendPayload(encodeEvent(event, this.#clock.wallMs()), this.#sendLimit, out)
    }
  }
}

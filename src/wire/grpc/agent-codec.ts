import type {
  ConfigUpdateRequest,
  FlowSignal,
  HealthReport,
  LogMessage,
  MetricsReport,
} from '../../core/agent-messages.ts'
import { type Clock, systemClock } from '../../core/clock.ts'
import { WeirError } from '../../core/errors.ts'
import type { AgentReply } from '../../core/reply.ts'
import type { ByteWriter } from '../byte-writer.ts'
import type {
  AgentCodec,
  FrameLimits,
  HandshakeResponse,
  MessageReader,
  ProxyMessageSink,
  RegistrationRequest,
} from '../codec.ts'
import { isPlainReply } from '../shape/plain-reply.ts'
import { FrameSplitter } from '../splitter.ts'
import { unwritable } from '../write-errors.ts'
import {
  encodeConfigUpdate,
  encodeFlow,
  encodeHandshakeResponse,
  encodeHealth,
  encodeLog,
  encodeMetrics,
  encodeReply,
} from './encode.ts'
import {
  appendMessage,
  beginMessage,
  endMessage,
  GRPC_FRAMING,
  PREFIX_BYTES,
  receiveLimit,
  sendLimit,
} from './framing.ts'
import { readProxyMessage } from './read-proxy-message.ts'
import { writeReplyProto } from './write-replies.ts'

/** The agent's end of gRPC streams. Keeps no state, so one serves them all. `clock` dates the pongs. */
export function grpcAgentCodec(limits: FrameLimits = {}, clock: Clock = systemClock): AgentCodec {
  return new GrpcAgentCodec(limits, clock)
}

class GrpcAgentCodec implements AgentCodec {
  readonly #receiveLimit: number
  readonly #sendLimit: number
  readonly #clock: Clock

  constructor(limits: FrameLimits, clock: Clock) {
    this.#receiveLimit = receiveLimit(limits)
    this.#sendLimit = sendLimit(limits)
    this.#clock = clock
  }

  writeHandshakeResponse(response: HandshakeResponse, out: ByteWriter): void {
    appendMessage(encodeHandshakeResponse(response), this.#sendLimit, out)
  }

  /** @throws WeirError INVALID_ARGUMENT: agents do not dial in over gRPC. */
  writeRegistration(_request: RegistrationRequest, _out: ByteWriter): void {
    throw new WeirError('INVALID_ARGUMENT', 'gRPC has no registration', { sent: false })
  }

  writeReply(reply: AgentReply, out: ByteWriter): void {
    if (!isPlainReply(reply)) {
      appendMessage(encodeReply(reply), this.#sendLimit, out)
      return
    }
    const start = beginMessage(out)
    try {
      writeReplyProto(reply, out)
      endMessage(out, start, this.#sendLimit)
    } catch (thrown) {
      out.end = start
      throw unwritable(thrown)
    }
  }

  writeHealth(report: HealthReport, out: ByteWriter): void {
    appendMessage(encodeHealth(report), this.#sendLimit, out)
  }

  writeMetrics(report: MetricsReport, out: ByteWriter): void {
    appendMessage(encodeMetrics(report), this.#sendLimit, out)
  }

  writeConfigUpdate(request: ConfigUpdateRequest, out: ByteWriter): void {
    appendMessage(encodeConfigUpdate(request), this.#sendLimit, out)
  }

  writeFlow(signal: FlowSignal, out: ByteWriter): void {
    appendMessage(encodeFlow(signal), this.#sendLimit, out)
  }

  writeLog(message: LogMessage, out: ByteWriter): void {
    appendMessage(encodeLog(message), this.#sendLimit, out)
  }

  reader(sink: ProxyMessageSink): MessageReader {
    return new FrameSplitter(GRPC_FRAMING, this.#receiveLimit, (bytes, start, end) => {
      readProxyMessage(bytes, start + PREFIX_BYTES, end, sink, this.#clock)
    })
  }
}

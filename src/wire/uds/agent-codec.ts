import type {
  ConfigUpdateRequest,
  FlowSignal,
  HealthReport,
  LogMessage,
  MetricsReport,
} from '../../core/agent-messages.ts'
import type { AgentReply } from '../../core/reply.ts'
import type { ByteWriter } from '../byte-writer.ts'
import type {
  AgentCodec,
  Encoding,
  FrameLimits,
  HandshakeResponse,
  MessageReader,
  ProxyMessageSink,
  RegistrationRequest,
  SwitchableEncoding,
} from '../codec.ts'
import { plainConfigUpdateRequest } from '../shape/config-update.ts'
import { plainHandshakeResponse, plainRegistrationRequest } from '../shape/handshake.ts'
import { plainFlow, plainHealth } from '../shape/health.ts'
import { plainMetrics } from '../shape/metrics.ts'
import { FRAME, MAX_PAYLOAD_BYTES } from './frame.ts'
import { writePlainFrame } from './payload.ts'
import { proxyMessageReader } from './proxy-message-reader.ts'
import { writeReplyFrame } from './write-reply.ts'

/** The agent's end of one connection that carries Unix-socket frames, over whatever stream. */
export function udsAgentCodec(limits: FrameLimits = {}): AgentCodec & SwitchableEncoding {
  return new UdsAgentCodec(limits)
}

class UdsAgentCodec implements AgentCodec, SwitchableEncoding {
  #encoding: Encoding = 'json'
  readonly #limits: FrameLimits
  readonly #maxSendBytes: number

  constructor(limits: FrameLimits) {
    this.#limits = limits
    this.#maxSendBytes = Math.min(limits.maxSendBytes ?? MAX_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES)
  }

  get encoding(): Encoding {
    return this.#encoding
  }

  useEncoding(encoding: Encoding): void {
    this.#encoding = encoding
  }

  writeHandshakeResponse(response: HandshakeResponse, out: ByteWriter): void {
    const plain = plainHandshakeResponse(response)
    writePlainFrame(FRAME.handshakeResponse, plain, 'json', this.#maxSendBytes, out)
  }

  writeRegistration(request: RegistrationRequest, out: ByteWriter): void {
    const plain = plainRegistrationRequest(request)
    writePlainFrame(FRAME.handshakeRequest, plain, 'json', this.#maxSendBytes, out)
  }

  writeReply(reply: AgentReply, out: ByteWriter): void {
    writeReplyFrame(reply, this.#encoding, this.#maxSendBytes, out)
  }

  writeHealth(report: HealthReport, out: ByteWriter): void {
    this.#write(FRAME.health, plainHealth(report), out)
  }

  writeMetrics(report: MetricsReport, out: ByteWriter): void {
    this.#write(FRAME.metrics, plainMetrics(report), out)
  }

  writeConfigUpdate(request: ConfigUpdateRequest, out: ByteWriter): void {
    this.#write(FRAME.configUpdate, plainConfigUpdateRequest(request), out)
  }

  writeFlow(signal: FlowSignal, out: ByteWriter): void {
    this.#write(FRAME.flow, plainFlow(signal), out)
  }

  writeLog(_message: LogMessage, _out: ByteWriter): void {}

  reader(sink: ProxyMessageSink): MessageReader {
    return proxyMessageReader(sink, this, this.#limits)
  }

  #write(type: number, value: unknown, out: ByteWriter): void {
    writePlainFrame(type, value, this.#encoding, this.#maxSendBytes, out)
  }
}

import { WeirError } from '../../core/errors.ts'
import type { AgentMessageSink, Encoding, FrameLimits, MessageReader, SwitchableEncoding } from '../codec.ts'
import { configUpdateRequest } from '../shape/config-update.ts'
import { count, member, struct } from '../shape/fields.ts'
import { handshakeResponse, registrationRequest } from '../shape/handshake.ts'
import { flowSignal, healthReport } from '../shape/health.ts'
import { metricsReport } from '../shape/metrics.ts'
import { agentReply, replyId } from '../shape/replies.ts'
import { FrameReader } from '../splitter.ts'
import { FRAME, FRAME_HEAD_BYTES, MAX_PAYLOAD_BYTES, UDS_FRAMING } from './frame.ts'
import { readReplyJson } from './json-read-replies.ts'
import { parseJson } from './json-text.ts'
import { readReplyMsgpack } from './msgpack-read-replies.ts'
import { parseControl, parsePayload } from './payload.ts'

/** Reads what agents send. Types that agents do not send, and unknown ones, are skipped by their length. */
export function agentMessageReader(
  sink: AgentMessageSink,
  chosen: Pick<SwitchableEncoding, 'encoding'>,
  limits: FrameLimits,
): MessageReader {
  const limit = Math.min(limits.maxPayloadBytes ?? MAX_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES)
  return new AgentMessageReader(sink, chosen, limit)
}

class AgentMessageReader extends FrameReader {
  readonly #sink: AgentMessageSink
  readonly #chosen: Pick<SwitchableEncoding, 'encoding'>

  constructor(sink: AgentMessageSink, chosen: Pick<SwitchableEncoding, 'encoding'>, maxPayloadBytes: number) {
    super(UDS_FRAMING, maxPayloadBytes)
    this.#sink = sink
    this.#chosen = chosen
  }

  protected override onFrame(bytes: Buffer, frameStart: number, end: number): void {
    const type = bytes[frameStart + 4]!
    const start = frameStart + FRAME_HEAD_BYTES
    switch (type) {
      case FRAME.reply:
        readReply(this.#sink, this.#chosen.encoding, bytes, start, end)
        return
      case FRAME.handshakeRequest:
        this.#sink.onRegistration(registrationRequest(parseJson(bytes, start, end)))
        return
      case FRAME.handshakeResponse:
        this.#sink.onHandshakeResponse(handshakeResponse(parseJson(bytes, start, end)))
        return
      case FRAME.health:
      case FRAME.metrics:
      case FRAME.configUpdate:
      case FRAME.flow:
      case FRAME.pong:
        readControl(type, this.#sink, this.#chosen.encoding, bytes, start, end)
        return
      default:
    }
  }
}

function readReply(
  sink: AgentMessageSink,
  encoding: Encoding,
  bytes: Buffer,
  start: number,
  end: number,
): void {
  let reply = encoding === 'json' ? readReplyJson(bytes, start, end) : readReplyMsgpack(bytes, start, end)
  if (reply === null) {
    let plain: unknown
    try {
      plain = parsePayload(encoding, bytes, start, end)
      reply = agentReply(plain)
    } catch (thrown) {
      sink.onMalformedReply(replyId(plain), WeirError.from(thrown, 'PROTOCOL_ERROR'))
      return
    }
  }
  sink.onReply(reply)
}

type ControlType =
  | typeof FRAME.health
  | typeof FRAME.metrics
  | typeof FRAME.configUpdate
  | typeof FRAME.flow
  | typeof FRAME.pong

function readControl(
  type: ControlType,
  sink: AgentMessageSink,
  encoding: Encoding,
  bytes: Buffer,
  start: number,
  end: number,
): void {
  let deliver: () => void
  try {
    const plain = parseControl(encoding, bytes, start, end)
    deliver = control(type, sink, plain)
  } catch (thrown) {
    sink.onMalformedControl(WeirError.from(thrown, 'PROTOCOL_ERROR'))
    return
  }
  deliver()
}

/** Decodes now and delivers later, so that a sink that throws is not taken for a malformed message. */
function control(type: ControlType, sink: AgentMessageSink, plain: unknown): () => void {
  switch (type) {
    case FRAME.health: {
      const report = healthReport(plain)
      return () => sink.onHealth(report)
    }
    case FRAME.metrics: {
      const report = metricsReport(plain)
      return () => sink.onMetrics(report)
    }
    case FRAME.configUpdate: {
      const request = configUpdateRequest(plain)
      return () => sink.onConfigUpdate(request)
    }
    case FRAME.flow: {
      const signal = flowSignal(plain)
      return () => sink.onFlow(signal)
    }
    case FRAME.pong: {
      const sequence = count(member(struct(plain, 'pong'), 'sequence', 0), 'pong.sequence')
      return () => sink.onPong(sequence)
    }
  }
}

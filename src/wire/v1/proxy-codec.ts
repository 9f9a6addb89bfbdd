import type { CancelReason } from '../../core/agent-messages.ts'
import { WeirError } from '../../core/errors.ts'
import type { AgentEvent, EventKind } from '../../core/event.ts'
import type { AgentReply } from '../../core/reply.ts'
import type { ByteWriter } from '../byte-writer.ts'
import type {
  AgentMessageSink,
  HandshakeRequest,
  MessageReader,
  ProxyCodec,
  RegistrationResponse,
} from '../codec.ts'
import { FrameSplitter } from '../splitter.ts'
import { parseJson } from '../uds/json-text.ts'
import { V1_FRAMING, V1_MAX_PAYLOAD_BYTES, V1_PREFIX_BYTES, writeV1Frame } from './framing.ts'
import { v1Envelope } from './v1-event.ts'
import { v1Reply } from './v1-reply.ts'

/**
 * The proxy's end of one connection in the legacy framing. A reply carries no id, so the codec remembers the one
 * event that was asked about; its user must not write the next before the reply. There is no handshake, ping or
 * cancel on this wire.
 */
export function v1ProxyCodec(agentId: string): ProxyCodec {
  return new V1ProxyCodec(agentId)
}

class V1ProxyCodec implements ProxyCodec {
  readonly #agentId: string
  #asked: { readonly kind: EventKind; readonly correlationId: string } | undefined

  constructor(agentId: string) {
    this.#agentId = agentId
  }

  writeHandshake(_request: HandshakeRequest, _out: ByteWriter): void {
    throw absent('handshake')
  }

  writeRegistrationResponse(_response: RegistrationResponse, _out: ByteWriter): void {
    throw absent('registration')
  }

  writeCancel(_id: string, _reason: CancelReason, _timestampMs: number, _out: ByteWriter): void {
    throw absent('cancel')
  }

  writePing(_sequence: number, _timestampMs: number, _out: ByteWriter): void {
    throw absent('ping')
  }

  writeEvent(event: AgentEvent, out: ByteWriter): void {
    if (this.#asked !== undefined)
      throw new WeirError('CONFLICT', 'the reply to the last event is still due', { sent: false })
    writeV1Frame(v1Envelope(event, this.#agentId), out)
    this.#asked = { kind: event.kind, correlationId: event.correlationId }
  }

  reader(sink: AgentMessageSink): MessageReader {
    return new FrameSplitter(V1_FRAMING, V1_MAX_PAYLOAD_BYTES, (bytes, frameStart, end) => {
      const asked = this.#asked
      if (asked === undefined)
        throw new WeirError('PROTOCOL_ERROR', 'a reply came that nothing was asked for')
      this.#asked = undefined
      let reply: AgentReply
      try {
        reply = v1Reply(asked.kind, asked.correlationId, parseJson(bytes, frameStart + V1_PREFIX_BYTES, end))
      } catch (thrown) {
        sink.onMalformedReply(asked.correlationId, WeirError.from(thrown, 'PROTOCOL_ERROR'))
        return
      }
      sink.onReply(reply)
    })
  }
}

function absent(what: string): WeirError {
  return new WeirError('INVALID_ARGUMENT', `the legacy framing has no ${what}`, { sent: false })
}

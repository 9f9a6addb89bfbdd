import { agentHears, PAIRS, type Pair, proxyHears } from './codecs.ts'
import type { Told } from './recording-sink.ts'

export const [JSON_PAIR, MSGPACK_PAIR, GRPC_PAIR] = PAIRS as unknown as readonly [Pair, Pair, Pair]

/** A Unix-socket frame around text, bytes, or a value as JSON. */
export function frame(type: number, payload: unknown): Buffer {
  const isReady = typeof payload === 'string' || Buffer.isBuffer(payload)
  const body = Buffer.from(isReady ? payload : JSON.stringify(payload))
  const head = Buffer.alloc(5)
  head.writeUInt32BE(body.length + 1)
  head[4] = type
  return Buffer.concat([head, body])
}

/** A gRPC message with its prefix. */
export function message(payload: Buffer): Buffer {
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32BE(payload.length, 1)
  return Buffer.concat([prefix, payload])
}

/** What a proxy makes of one JSON frame. */
export function fromAgent(type: number, payload: unknown): Told {
  return proxyHears(JSON_PAIR.proxy(), frame(type, payload))[0]!
}

/** What an agent makes of one JSON frame. */
export function fromProxy(type: number, payload: unknown): Told {
  return agentHears(JSON_PAIR.agent(), frame(type, payload))[0]!
}

import { createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { ByteWriter } from '../../../src/wire/byte-writer.ts'
import { grpcAgentCodec } from '../../../src/wire/grpc/agent-codec.ts'
import { ScriptedAgent } from '../../conformance/support/scripted-agent.ts'

/** One HTTP/2 frame by hand: length, type, flags, stream, payload. */
export function h2(type: number, flags: number, stream: number, payload: Buffer | string = ''): Buffer {
  const body = typeof payload === 'string' ? Buffer.from(payload, 'hex') : payload
  const head = Buffer.alloc(9)
  head.writeUIntBE(body.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, body])
}

export interface RawFrame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

/** The whole frames at the start of `bytes`. */
export function framesIn(bytes: Buffer): RawFrame[] {
  const frames: RawFrame[] = []
  for (let at = 0; bytes.length - at >= 9; ) {
    const end = at + 9 + bytes.readUIntBE(at, 3)
    if (end > bytes.length) break
    const [type, flags] = [bytes[at + 3]!, bytes[at + 4]!]
    frames.push({ type, flags, stream: bytes.readUInt32BE(at + 5), payload: bytes.subarray(at + 9, end) })
    at = end
  }
  return frames
}

export const SETTINGS = h2(4, 0, 0)
/** `:status: 200`, `content-type: application/grpc`, as literals. */
export const RESPONSE = h2(1, 4, 1, `880f10${'10'}${Buffer.from('application/grpc').toString('hex')}`)
/** `grpc-status: 0`, and the end of the stream. */
export const TRAILERS_OK = h2(1, 5, 1, `000b${Buffer.from('grpc-status').toString('hex')}0130`)

/** The answer to a handshake, as one DATA frame. */
export function acceptedFrame(flags = 0): Buffer {
  const out = new ByteWriter()
  const { capabilities } = new ScriptedAgent()
  const facts = { protocolVersion: 2, capabilities, success: true, encoding: 'json' } as const
  grpcAgentCodec().writeHandshakeResponse(facts, out)
  return h2(0, flags, 1, Buffer.from(out.bytes.subarray(0, out.end)))
}

/** What one client said after its preface. */
export class RawClientOfOurs {
  readonly socket: Socket
  received = Buffer.alloc(0)
  isGone = false

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => (this.received = Buffer.concat([this.received, chunk])))
    socket.once('close', () => (this.isGone = true))
  }

  get frames(): RawFrame[] {
    return framesIn(this.received.subarray('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'.length))
  }

  /** The gRPC bytes of the call, in order. */
  get data(): Buffer {
    return Buffer.concat(this.frames.filter(({ type }) => type === 0).map(({ payload }) => payload))
  }

  /** The code of the goodbye; undefined: none was said. */
  get goawayCode(): number | undefined {
    return this.frames.find(({ type }) => type === 7)?.payload.readUInt32BE(4)
  }

  send(...frames: Buffer[]): void {
    this.socket.write(Buffer.concat(frames))
  }
}

/** A TCP server that says to each HTTP/2 client whatever the test wants, byte by byte if need be. */
export async function rawHttp2Server(
  t: TestContext,
  onClient: (client: RawClientOfOurs) => void,
): Promise<{ readonly target: string; readonly clients: RawClientOfOurs[] }> {
  const clients: RawClientOfOurs[] = []
  const server = createServer((socket) => {
    const client = new RawClientOfOurs(socket)
    clients.push(client)
    onClient(client)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const { socket } of clients) socket.destroy()
    server.close()
  })
  return { target: `grpc://127.0.0.1:${(server.address() as { port: number }).port}`, clients }
}

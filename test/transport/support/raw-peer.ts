import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { temporaryFolder } from '../../support/temp-folder.ts'

/** One Unix-socket frame by hand: length, type, payload. */
export function frame(type: number, payload: unknown): Buffer {
  const body = Buffer.isBuffer(payload) ? payload : Buffer.from(JSON.stringify(payload))
  const head = Buffer.alloc(5)
  head.writeUInt32BE(body.length + 1)
  head[4] = type
  return Buffer.concat([head, body])
}

export const CAPABILITIES = {
  agent_id: 'raw',
  name: 'raw',
  version: '0',
  supported_events: [1, 0, 8, 99],
  features: {
    streaming_body: false,
    websocket: false,
    guardrails: false,
    config_push: false,
    metrics_export: false,
    concurrent_requests: 0,
    cancellation: false,
    flow_control: false,
    health_reporting: false,
  },
  limits: { max_body_size: 1, max_concurrency: 1, preferred_chunk_size: 1 },
}

/** What a plain agent answers to a handshake. */
export const ACCEPTED = frame(0x02, {
  protocol_version: 2,
  capabilities: CAPABILITIES,
  success: true,
})

export function allow(correlationId: string): Buffer {
  return frame(0x20, { version: 2, decision: 'allow', audit: { custom: { correlation_id: correlationId } } })
}

/** A server that does to each connection whatever the test says; cut off when the test ends. */
export async function rawServer(test: TestContext, onSocket: (socket: Socket) => void): Promise<string> {
  const path = join(await temporaryFolder(test), 'raw.sock')
  const sockets = new Set<Socket>()
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('end', () => socket.end())
    socket.once('close', () => sockets.delete(socket))
    onSocket(socket)
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  test.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return path
}

/** A client socket whose bytes the test writes, with everything received. */
export class RawClient {
  readonly socket: Socket
  received = Buffer.alloc(0)
  isEnded = false
  isClosed = false

  constructor(test: TestContext, where: string | { host: string; port: number }) {
    this.socket = typeof where === 'string' ? connect(where) : connect(where)
    this.socket.on('data', (chunk) => {
      this.received = Buffer.concat([this.received, chunk])
    })
    this.socket.on('error', () => {})
    this.socket.once('end', () => {
      this.isEnded = true
    })
    this.socket.once('close', () => {
      this.isClosed = true
    })
    test.after(() => this.socket.destroy())
  }

  /** Whole frames received so far. */
  get frames(): { type: number; payload: Buffer }[] {
    const frames: { type: number; payload: Buffer }[] = []
    let at = 0
    while (this.received.length - at >= 5) {
      const end = at + 4 + this.received.readUInt32BE(at)
      if (end > this.received.length) break
      frames.push({ type: this.received[at + 4]!, payload: this.received.subarray(at + 5, end) })
      at = end
    }
    return frames
  }

  json(index: number): Record<string, unknown> {
    return JSON.parse(this.frames[index]!.payload.toString()) as Record<string, unknown>
  }
}

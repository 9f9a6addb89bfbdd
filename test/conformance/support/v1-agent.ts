import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { temporaryFolder } from '../../support/temp-folder.ts'

export interface V1Message {
  readonly version: number
  readonly event_type: string
  readonly payload: Record<string, unknown>
}

/** An agent of the legacy framing: u32 length, JSON, one reply per request. */
export class V1Agent {
  readonly messages: V1Message[] = []
  path = ''
  answer: (message: V1Message, socket: Socket) => void = ({ event_type }, socket) => {
    if (event_type === 'configure' || event_type === 'request_complete') send(socket, { success: true })
    else if (event_type === 'guardrail_inspect')
      send(socket, { detected: false, confidence: 0, detections: [] })
    else send(socket, { version: 2, decision: 'allow' })
  }

  async listen(test: TestContext): Promise<this> {
    this.path = join(await temporaryFolder(test), 'v1.sock')
    const sockets = new Set<Socket>()
    const server = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => {})
      let held = Buffer.alloc(0)
      socket.on('data', (chunk) => {
        held = Buffer.concat([held, chunk])
        while (held.length >= 4 && held.length >= 4 + held.readUInt32BE(0)) {
          const end = 4 + held.readUInt32BE(0)
          const message = JSON.parse(held.toString('utf8', 4, end)) as V1Message
          held = held.subarray(end)
          this.messages.push(message)
          this.answer(message, socket)
        }
      })
    })
    await new Promise<void>((resolve) => server.listen(this.path, resolve))
    test.after(() => {
      for (const socket of sockets) socket.destroy()
      server.close()
    })
    return this
  }
}

export function send(socket: Socket, value: unknown): void {
  const text = Buffer.from(JSON.stringify(value))
  const head = Buffer.alloc(4)
  head.writeUInt32BE(text.length)
  socket.write(Buffer.concat([head, text]))
}

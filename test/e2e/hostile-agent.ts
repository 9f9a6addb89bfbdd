import type { Socket } from 'node:net'
import { allow, CAPABILITIES, frame } from '../transport/support/raw-peer.ts'
import type { Noise } from './noise.ts'
import { open } from './talk.ts'

const BATCH = 500

/**
 * An agent that dials in with the right token and then misbehaves: it answers each event twice, once for nobody, and
 * sends replies that nobody asked for.
 */
export class HostileAgent {
  /** Replies sent that nobody waits for. */
  strays = 0
  readonly #socket: Socket
  #held = Buffer.alloc(0)

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk) => this.#take(chunk))
  }

  /** Resolves when it is registered. */
  static async dialIn(path: string, id: string, token: string): Promise<HostileAgent> {
    const socket = await open(path)
    const registered = new Promise((resolve) => socket.once('data', resolve))
    const capabilities = {
      ...CAPABILITIES,
      agent_id: id,
      name: id,
      limits: { ...CAPABILITIES.limits, max_concurrency: 1000 },
    }
    const registration = {
      protocol_version: 2,
      agent_id: id,
      capabilities,
      auth_token: token,
      metadata: null,
    }
    socket.write(frame(0x01, registration))
    await registered
    return new HostileAgent(socket)
  }

  get isCut(): boolean {
    return this.#socket.destroyed
  }

  /** Sends replies nobody asked for, in parts sound, damaged and meaningless. Resolves when the kernel has them. */
  async babble(noise: Noise, times: number): Promise<void> {
    for (let sent = 0; sent < times; sent += BATCH) {
      const frames = Array.from({ length: BATCH }, (_, n) => {
        const sound = allow(`nobody-${noise.below(1 << 30)}`)
        if (n % 3 === 0) return sound
        return frame(0x20, n % 3 === 1 ? noise.damaged(sound.subarray(5)) : noise.bytes(100))
      })
      this.strays += BATCH
      await new Promise<void>((resolve, reject) =>
        this.#socket.write(Buffer.concat(frames), (error) => (error ? reject(error) : resolve())),
      )
    }
  }

  leave(): void {
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    this.#held = Buffer.concat([this.#held, chunk])
    while (this.#held.length >= 5) {
      const end = 4 + this.#held.readUInt32BE(0)
      if (end > this.#held.length) return
      const type = this.#held[4]!
      const payload = this.#held.subarray(5, end).toString()
      this.#held = this.#held.subarray(end)
      if (type === 0x41) this.#socket.write(frame(0x42, Buffer.from(payload)))
      if (type === 0x10) this.#answer(payload)
    }
  }

  #answer(payload: string): void {
    const { metadata } = JSON.parse(payload) as { metadata: { correlation_id: string } }
    const answer = allow(metadata.correlation_id)
    this.#socket.write(Buffer.concat([allow('nobody'), answer, answer]))
    this.strays += 2
  }
}

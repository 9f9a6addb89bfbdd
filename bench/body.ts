import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BodyGate, type GateOwner } from '../src/frontend/http/body-gate.ts'
import type { Verdict } from '../src/proxy/verdict.ts'
import type { Dialer } from '../src/transport/connection.ts'
import { grpcDialer } from '../src/transport/grpc/grpc-dialer.ts'
import { udsDialer } from '../src/transport/uds/uds-dialer.ts'
import { grpcAgent, program, udsAgent } from './harness/agents.ts'
import { BenchProcess } from './harness/process.ts'
import { type BenchOptions, type BenchResult, type Row, row } from './harness/result.ts'
import { interleave, median, pairedRatio } from './harness/statistics.ts'
import { type BodyAsker, HANDSHAKE, type WeirSide, weirSide } from './harness/weir-side.ts'

const SIZES = { '1 KB': 1024, '64 KB': 65_536, '1 MB': 1_048_576, '10 MB': 10_485_760 } as const
/** The largest piece of a body that the http front end makes. */
const PIECE = 65_536
/** Bodies at once, on both sides. */
const IN_FLIGHT = 4
/** No goal below 64 KB: there the message costs more than its bytes. */
const GOAL = 0.8

/** Bodies through an agent that looks at them, beside the same bytes through a bare socket pair. */
export async function run({ quick }: BenchOptions): Promise<BenchResult> {
  const folder = mkdtempSync(join(tmpdir(), 'weir-bench-'))
  const sink = join(folder, 'sink.sock')
  const sinkProcess = new BenchProcess(process.execPath, [program('byte-sink'), sink])
  const [, port] = await sinkProcess.line(/^ready (\d+)$/)
  const uds = await udsAgent()
  const keeping = await udsAgent(true)
  const grpc = await grpcAgent()
  const wires: Readonly<Record<string, () => Dialer>> = {
    'uds-msgpack': () => udsDialer(uds.address, HANDSHAKE, { encodings: ['msgpack', 'json'] }),
    'uds-msgpack, data kept': () => udsDialer(keeping.address, HANDSHAKE, { encodings: ['msgpack', 'json'] }),
    'uds-json': () => udsDialer(uds.address, HANDSHAKE),
    grpc: () => grpcDialer(`grpc://${grpc.address}`, HANDSHAKE),
  }
  const rows: Row[] = []
  for (const [name, dialer] of Object.entries(wires)) {
    const weir = await weirSide(dialer, 'x-ref-agent')
    for (const [label, size] of Object.entries(SIZES)) {
      if (quick && size > PIECE) continue
      const bodies = bodiesFor(size, quick)
      const ours = (): Promise<number> => timed(bodies * size, () => weirBodies(weir, size, bodies))
      /* A socket of the kind that the wire runs on: the kernel moves bytes over TCP at another price. */
      const open = (): Socket => (name === 'grpc' ? connect(Number(port), '127.0.0.1') : connect(sink))
      const bare = (): Promise<number> => timed(bodies * size, () => bareBodies(open, size, bodies))
      await ours()
      await bare()
      const results = await interleave(quick ? 1 : 5, { ours, bare })
      rows.push(
        row(`${name} ${label}`, pairedRatio(results['ours']!, results['bare']!), size >= PIECE ? GOAL : 0, {
          'ours MB/s': median(results['ours']!),
          'bare MB/s': median(results['bare']!),
        }),
      )
    }
    await weir.close()
  }
  await uds.stop()
  await keeping.stop()
  await grpc.stop()
  await sinkProcess.stop()
  rmSync(folder, { recursive: true, force: true })
  return { bench: 'body', rows }
}

function bodiesFor(size: number, quick: boolean): number {
  const bytes = quick ? 1_000_000 : 200_000_000
  return Math.max(IN_FLIGHT, Math.min(20_000, Math.floor(bytes / size)))
}

async function timed(bytes: number, work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return bytes / 1e6 / ((performance.now() - startedAt) / 1000)
}

/** Through the gate of the http front end, which decides how a body is cut and how far it goes ahead. */
async function weirBodies(side: WeirSide, size: number, bodies: number): Promise<void> {
  const piece = Buffer.alloc(Math.min(size, PIECE), 'x')
  let left = bodies
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const body = new InspectedBody(side.openBody(), size)
      await body.send(piece)
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker))
}

/** One body on its way past the agent; what is allowed goes nowhere. */
class InspectedBody implements GateOwner {
  readonly #body: BodyAsker
  readonly #size: number
  readonly #gate: BodyGate
  #forwarded = 0
  #onHungry: (() => void) | undefined
  #onOver!: (error: Error | undefined) => void

  constructor(body: BodyAsker, size: number) {
    this.#body = body
    this.#size = size
    this.#gate = new BodyGate(this, body.plan, size)
  }

  async send(piece: Buffer): Promise<void> {
    const over = new Promise<Error | undefined>((resolve) => {
      this.#onOver = resolve
    })
    for (let sent = 0; sent < this.#size; sent += piece.length) {
      if (this.#gate.push(piece)) continue
      await new Promise<void>((resolve) => {
        this.#onHungry = resolve
      })
    }
    const error = await over
    this.#body.close()
    if (error !== undefined || this.#forwarded !== this.#size) throw error ?? new Error('a body was cut')
  }

  gateAsk(data: Uint8Array, chunkIndex: number, isLast: boolean, transferred: number): Promise<Verdict> {
    return this.#body.ask(data, chunkIndex, isLast, transferred)
  }

  gateForward(data: Uint8Array): boolean {
    this.#forwarded += data.length
    return true
  }

  gateEnded(): void {
    this.#onOver(undefined)
  }

  gateDenied(verdict: Verdict): void {
    this.#onOver(verdict.error ?? new Error('a body was refused'))
  }

  gateHungry(): void {
    this.#onHungry?.()
  }

  gateOverflowed(error: Error): void {
    this.#onOver(error)
  }

  gateAllowed(): void {}

  gateSkipped(): void {}
}

async function bareBodies(open: () => Socket, size: number, bodies: number): Promise<void> {
  const piece = Buffer.alloc(Math.min(size, PIECE), 'x')
  const pieces = Math.ceil(size / PIECE)
  let left = bodies
  const worker = async (): Promise<void> => {
    const socket = open()
    const head = Buffer.alloc(4)
    head.writeUInt32BE(size)
    socket.write(head)
    while (left-- > 0) {
      const answered = new Promise((resolve) => socket.once('data', resolve))
      for (let index = 0; index < pieces; index++) {
        if (!socket.write(piece)) await new Promise((resolve) => socket.once('drain', resolve))
      }
      await answered
    }
    socket.destroy()
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker))
}

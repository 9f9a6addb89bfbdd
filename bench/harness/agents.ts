import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BenchProcess } from './process.ts'

const PROGRAMS = join(dirname(fileURLToPath(import.meta.url)), '..', 'programs')

/** A compiled program of bench/programs. */
export function program(name: string): string {
  return join(PROGRAMS, `${name}.js`)
}

/** An SDK agent in a process of its own. */
export interface AgentProcess {
  readonly process: BenchProcess
  /** Path or `host:port` to dial. */
  readonly address: string
  stop(): Promise<void>
}

/** `keepsBodies`: its handlers may keep body data, as the SDK has it by default; without, memory is used again. */
export async function udsAgent(keepsBodies = false): Promise<AgentProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'weir-bench-'))
  const address = join(folder, 'agent.sock')
  const process = await startAgent(['uds', address, ...(keepsBodies ? ['keep'] : [])])
  return {
    process,
    address,
    async stop() {
      await process.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export async function grpcAgent(): Promise<AgentProcess> {
  const child = new BenchProcess(process.execPath, [program('agent'), 'grpc', '127.0.0.1:0'])
  const [, port] = await child.line(/^ready (\d+)$/)
  return { process: child, address: `127.0.0.1:${port}`, stop: () => child.stop() }
}

async function startAgent(args: readonly string[]): Promise<BenchProcess> {
  const child = new BenchProcess(process.execPath, [program('agent'), ...args])
  await child.line(/^ready/)
  return child
}

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { eventually } from '../support/eventually.ts'

/** Folder of the built reference pool and agent; see test/peers/README.md for how they are built. */
const VARIABLE = 'WEIR_REFERENCE_PEERS'

interface Peers {
  readonly agent: string
  readonly pool: string
}

function findPeers(): Peers | string {
  const folder = process.env[VARIABLE]
  if (folder === undefined) return `${VARIABLE} is not set: give it the folder of ref-agent and ref-pool`
  const peers = { agent: join(folder, 'ref-agent'), pool: join(folder, 'ref-pool') }
  const missing = [peers.agent, peers.pool].filter((file) => !existsSync(file))
  return missing.length === 0 ? peers : `${VARIABLE} names a folder without ${missing.join(' and ')}`
}

/** A test that needs the reference programs. Without them it is skipped, and says so where nobody overlooks it. */
export function peerTest(title: string, run: (t: TestContext, peers: Peers) => Promise<void>): void {
  const peers = findPeers()
  if (typeof peers !== 'string') {
    test(title, { timeout: 60_000 }, (t) => run(t, peers))
    return
  }
  test(title, { skip: peers }, (t) => t.diagnostic(`NOT RUN: ${peers}`))
  console.error(`NOT RUN: ${title} (${peers})`)
}

/** The reference agent, listening. Returns its process. */
export async function startReferenceAgent(
  t: TestContext,
  program: string,
  kind: 'uds' | 'grpc',
  address: string,
): Promise<void> {
  const child = spawn(program, [kind, address], { stdio: ['ignore', 'ignore', 'pipe'] })
  stopWith(t, child)
  const [host, port] = address.split(':')
  const where = kind === 'uds' ? { path: address } : { host: host!, port: Number(port) }
  await eventually('the reference agent listens', () => answers(where))
}

export interface PoolFigures {
  readonly inflight: number
  readonly events_per_s: number
  readonly p50_ms: number
  readonly p99_ms: number
  readonly errors: number
}

/** Per level; the pool warms up for another half a second before. */
export const MEASURED_SECONDS = 0.4

/** Drives the reference pool (one thread, 4 connections, request-headers events) against an endpoint. */
export async function runReferencePool(
  t: TestContext,
  program: string,
  endpoint: string,
  inFlight = '1,32',
): Promise<readonly PoolFigures[]> {
  const child = spawn(program, [endpoint, '1', String(MEASURED_SECONDS), inFlight], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  stopWith(t, child)
  let out = ''
  let err = ''
  child.stdout!.on('data', (chunk: Buffer) => {
    out += chunk.toString()
  })
  child.stderr!.on('data', (chunk: Buffer) => {
    err += chunk.toString()
  })
  const code = await new Promise((resolve) => child.once('close', resolve))
  if (code !== 0) throw new Error(`the reference pool ended with ${String(code)}: ${err}`)
  const levels = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as PoolFigures)
  for (const figures of levels) t.diagnostic(`${t.name}: ${JSON.stringify(figures)}`)
  return levels
}

/** A port that was free a moment ago, for programs that cannot pick one. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

function stopWith(t: TestContext, child: ChildProcess): void {
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
  })
}

function answers(where: { path: string } | { host: string; port: number }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(where as { path: string })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

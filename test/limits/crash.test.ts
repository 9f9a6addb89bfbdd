import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import SqliteDatabase from 'better-sqlite3'
import { seededRandom } from '../../src/core/random.ts'
import { temporaryFolder } from '../support/temp-folder.ts'
import { type Admission, CRASH_RULES, worstExcess } from './crash-rules.ts'

/** `WEIR_CRASH_ROUNDS=200` is the full run. */
const ROUNDS = Number(process.env['WEIR_CRASH_ROUNDS'] ?? 8)
const CHILD = fileURLToPath(new URL('./crash-child.js', import.meta.url))

interface Log {
  readonly admissions: Map<string, Admission[]>
  readonly bans: string[]
}

describe('two processes on one file, killed at random instants', { timeout: ROUNDS * 10_000 }, () => {
  it(`admits at most burst + rate x elapsed over every window and loses no ban (${ROUNDS} rounds)`, async (test) => {
    const folder = await temporaryFolder(test)
    const file = join(folder, 'weir.db')
    const log = join(folder, 'log')
    writeFileSync(log, '')
    const random = seededRandom(Number(process.env['WEIR_CRASH_SEED'] ?? 1))
    for (let round = 0; round < ROUNDS; round++) {
      const children = [0, 1].map((which) => start(file, log, round * 2 + which))
      try {
        await Promise.all(children.map((child) => ready(child)))
        await Promise.all(children.map((child) => endAfter(child, 50 + random() * 600, random() < 0.8)))
      } finally {
        for (const child of children) child.kill('SIGKILL')
      }
      const seen = read(log)
      for (const [agent, { ratePerSecond, burst }] of Object.entries(CRASH_RULES)) {
        const excess = worstExcess(seen.admissions.get(agent) ?? [], ratePerSecond, burst)
        assert.ok(excess <= 0.001, `round ${round}: "${agent}" got ${excess} tokens too many`)
      }
      check(file, seen.bans, round)
    }
    const { admissions, bans } = read(log)
    for (const agent of Object.keys(CRASH_RULES))
      assert.ok((admissions.get(agent) ?? []).length > 0, `nothing of "${agent}" was admitted at all`)
    assert.ok(bans.length >= ROUNDS, `only ${bans.length} bans were acknowledged`)
  })
})

function start(file: string, log: string, seed: number): ChildProcess {
  return spawn(process.execPath, [CHILD, file, log, String(seed)], { stdio: ['pipe', 'pipe', 'inherit'] })
}

async function ready(child: ChildProcess): Promise<void> {
  await Promise.race([
    once(child.stdout!, 'data'),
    once(child, 'exit').then(([code, signal]) =>
      Promise.reject(new Error(`a child ended before it was ready: ${code ?? signal}`)),
    ),
  ])
}

async function endAfter(child: ChildProcess, delayMs: number, isKilled: boolean): Promise<void> {
  await sleep(delayMs)
  const exit = once(child, 'exit')
  if (isKilled) child.kill('SIGKILL')
  else child.stdin!.end()
  await exit
}

function read(path: string): Log {
  const admissions = new Map<string, Admission[]>()
  const bans: string[] = []
  /* The last line of a killed process may be cut. */
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const [kind, agent = '', before = '', after = ''] = line.split(' ')
    if (kind === 'B') bans.push(agent)
    if (kind !== 'A' || after === '') continue
    const events = admissions.get(agent) ?? []
    events.push({ beforeMs: Number(before), afterMs: Number(after) })
    admissions.set(agent, events)
  }
  return { admissions, bans }
}

function check(file: string, bans: readonly string[], round: number): void {
  const database = new SqliteDatabase(file)
  try {
    assert.equal(database.pragma('integrity_check', { simple: true }), 'ok', `round ${round}`)
    const kept = new Set(database.prepare('SELECT agent FROM ban').pluck().all())
    for (const agent of bans) assert.ok(kept.has(agent), `round ${round}: the ban of ${agent} is lost`)
  } finally {
    database.close()
  }
}

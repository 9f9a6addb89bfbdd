import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import SqliteDatabase, { type Database } from 'better-sqlite3'
import { seededRandom } from '../../src/core/random.ts'
import type { LimitRule } from '../../src/proxy/limits/limit-rule.ts'
import { hostClock } from '../../src/store/host-clock.ts'
import { temporaryFolder } from '../support/temp-folder.ts'
import { admissionsOf, type CrashLog, readCrashLog } from './crash-log.ts'
import { crashRules, debtOf, mostLost, type Outgo, worstExcess } from './crash-rules.ts'

/** `WEIR_CRASH_ROUNDS=200` is the full run. */
const ROUNDS = Number(process.env['WEIR_CRASH_ROUNDS'] ?? 8)
const CHILD = fileURLToPath(new URL('./crash-child.js', import.meta.url))
/** Tokens; rounding of many fractions. */
const EPSILON = 0.001

/** The end of one process. */
interface Ending {
  readonly round: number
  readonly atMs: number
  readonly isKilled: boolean
}

describe('two processes on one file, killed at random instants', { timeout: ROUNDS * 10_000 }, () => {
  it(`admits at most burst + rate x elapsed over every window and loses no ban (${ROUNDS} rounds)`, async (test) => {
    const folder = await temporaryFolder(test)
    const file = join(folder, 'weir.db')
    const log = join(folder, 'log')
    writeFileSync(log, '')
    const random = seededRandom(Number(process.env['WEIR_CRASH_SEED'] ?? 1))
    const endings: Ending[] = []
    for (let round = 0; round < ROUNDS; round++) {
      const children = [0, 1].map((which) => start(file, log, round, which))
      try {
        await Promise.all(children.map((child) => ready(child)))
        await Promise.all(
          children.map(async (child) => {
            /* The last round ends cleanly. */
            const isKilled = random() < 0.8 && round < ROUNDS - 1
            await endAfter(child, 50 + random() * 600, isKilled)
            endings.push({ round, atMs: performance.now() + hostClock().offsetMs, isKilled })
          }),
        )
      } finally {
        for (const child of children) child.kill('SIGKILL')
      }
      const seen = readCrashLog(log)
      assert.deepEqual(seen.broken, [], `round ${round}`)
      mustHold(file, seen, endings, round)
    }
    const { sent, refunded, changes } = readCrashLog(log)
    for (const agent of crashRules(ROUNDS - 1).keys())
      assert.ok((sent.get(agent) ?? []).length > 0, `nothing of "${agent}" was admitted at all`)
    assert.ok((refunded.get('both') ?? []).length >= ROUNDS, 'hardly anything was given back')
    assert.ok(changes.length >= ROUNDS, `only ${changes.length} changes of bans were acknowledged`)
  })
})

function start(file: string, log: string, round: number, which: number): ChildProcess {
  const args = [CHILD, file, log, String(round), String(which)]
  return spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
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
  const [code, signal] = await exit
  assert.ok(isKilled ? signal === 'SIGKILL' : code === 0, `a child ended by itself: ${code ?? signal}`)
}

/** Everything that must be true of the file and the log between two rounds. */
function mustHold(file: string, seen: CrashLog, endings: readonly Ending[], round: number): void {
  const database = new SqliteDatabase(file)
  try {
    assert.equal(database.pragma('integrity_check', { simple: true }), 'ok', `round ${round}`)
    mustKeepBans(database, seen, round)
    for (const [agent, rules] of crashRules(round)) {
      const own = endings.filter((ending) => crashRules(ending.round).has(agent))
      for (const rule of rules) mustBeBooked(database, agent, rule, seen, own, `round ${round}: "${agent}"`)
    }
  } finally {
    database.close()
  }
}

/** Every acknowledged change is there, and in force is what was ordered last. */
function mustKeepBans(database: Database, { changes }: CrashLog, round: number): void {
  const kept = database.prepare('SELECT revision, agent, action FROM ban_change ORDER BY revision').all()
  const stored = new Map(kept.map((row) => [(row as CrashLog['changes'][number]).revision, row]))
  const oldest = Math.min(...stored.keys())
  for (const change of changes)
    if (change.revision >= oldest)
      assert.deepEqual({ ...change }, stored.get(change.revision), `round ${round}: a change is lost`)
  const last = new Map<string, string>()
  for (const row of stored.values()) {
    const { agent, action } = row as CrashLog['changes'][number]
    last.set(agent, action)
  }
  const banned = [...last].filter(([, action]) => action === 'ban').map(([agent]) => agent)
  assert.deepEqual(database.prepare('SELECT agent FROM ban ORDER BY agent').pluck().all(), banned.sort())
}

/**
 * One bucket between two rounds. No window admitted more than it may; whatever was sent is booked in the file; and no
 * more is booked than was sent, given back and lost with the processes that ended. To the token, where nothing is
 * refilled, given back or killed.
 */
function mustBeBooked(
  database: Database,
  agent: string,
  rule: LimitRule,
  { sent, refunded }: CrashLog,
  endings: readonly Ending[],
  where: string,
): void {
  const { ratePerSecond: rate, burst, name } = rule
  const spent = admissionsOf(sent.get(agent), rule)
  const excess = worstExcess(spent, rate, burst)
  assert.ok(excess <= EPSILON, `${where} got ${excess} ${name} too many`)

  const nowMs = performance.now() + hostClock().offsetMs
  const row = database
    .prepare('SELECT debt, at_ms AS atMs FROM limit_bucket WHERE key = ?')
    .get(`${agent}\n${name}\n`) as { readonly debt: number; readonly atMs: number } | undefined
  const booked = row === undefined ? 0 : Math.max(0, row.debt - (rate / 1000) * (nowMs - row.atMs))
  const least = debtOf(
    spent.map(({ beforeMs, tokens = 1 }) => ({ atMs: beforeMs, tokens })),
    rate,
    nowMs,
  )
  assert.ok(booked >= least - EPSILON, `${where}: ${least} ${name} are spent, ${booked} are booked`)

  const lost: Outgo[] = endings
    /* Of a line that stands still everything comes back at a clean end. */
    .filter(({ isKilled }) => isKilled || rate > 0)
    .map(({ atMs }) => ({ atMs, tokens: mostLost(rule) }))
  const out = [...spent, ...admissionsOf(refunded.get(agent), rule)]
  const most = debtOf(
    [...lost, ...out.map(({ afterMs, tokens = 1 }) => ({ atMs: afterMs, tokens }))],
    rate,
    nowMs,
  )
  assert.ok(booked <= most + EPSILON, `${where}: at most ${most} ${name} are out, ${booked} are booked`)
}

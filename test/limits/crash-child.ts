import { openSync, readFileSync, writeSync } from 'node:fs'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { systemClock } from '../../src/core/clock.ts'
import { seededRandom } from '../../src/core/random.ts'
import { hostClock } from '../../src/store/host-clock.ts'
import { SqliteLimitStore } from '../../src/store/limits/sqlite-limit-store.ts'
import { Store } from '../../src/store/store.ts'
import { CALLERS, crashRules, MOST_BYTES } from './crash-rules.ts'
import { makeLimiter, request } from './support.ts'

/*
 * One process under load on a shared file, to be killed at any instant: `node crash-child.js FILE LOG ROUND WHICH`.
 * Several callers ask at once; a part of what they are allowed is never sent and given back. Each line of the log is
 * in the page cache, which outlives the process, before anything follows from it:
 *   `S agent before after bytes`  an event is sent, decided between these instants (monotonic milliseconds of the host)
 *   `R agent before after bytes`  an event was allowed, is not sent, and is given back later
 *   `C revision agent action`     a ban or a lift is acknowledged
 *   `X text`                      a rule was broken that can only be seen in here
 * A line `ready` on stdout says that the load starts; end of stdin asks for a clean end.
 */
const [path = '', logPath = '', round = '0', which = '0'] = process.argv.slice(2)
const earlier = readFileSync(logPath, 'utf8')
const log = openSync(logPath, 'a')
const random = seededRandom(Number(round) * 2 + Number(which) + 1)
const { offsetMs } = hostClock()
const now = (): number => performance.now()
const write = (line: string): void => void writeSync(log, `${line}\n`)

const store = await Store.open({ path, busyTimeoutMs: 10_000 })
const agents = crashRules(Number(round))
const limiter = makeLimiter({
  clock: systemClock,
  store: new SqliteLimitStore(store, systemClock),
  agents,
  storeTimeoutMs: 5000,
  capacity: 3,
})
await limiter.start()
for (const [, agent = ''] of earlier.matchAll(/^C \d+ (kept-\S+) ban$/gm))
  if ((await limiter.check(request({ agent }))).allowed) write(`X ${agent} is not banned after a restart`)

let isEnding = false
process.stdin.on('end', () => {
  isEnding = true
})
process.stdin.resume()
process.stdout.write('ready\n')

/** Banned by this process, and only by it: true from the acknowledgement to the order of the lift. */
let isDeepBanned = false

async function call(): Promise<void> {
  const names = [...agents.keys()]
  while (!isEnding) {
    const agent = names[Math.floor(random() * names.length)]!
    /* As when an agent is gone: nothing of a run is sent. */
    const isSent = agent.startsWith('once') || random() < 0.6
    const unsent: (() => void)[] = []
    for (let events = 1 + Math.floor(random() * 20); events > 0; events--) {
      const bytes = 1 + Math.floor(random() * (random() < 0.1 ? MOST_BYTES : 300))
      const startedAt = now()
      const wasBanned = agent === 'deep' && isDeepBanned
      const asked = { ...request({ agent, bytes }), startedAt }
      const answer = limiter.check(asked)
      const verdict = answer instanceof Promise ? await answer : answer
      /* Who answers in the turn of the question decides by the instant that the question names. */
      const decidedAt = answer instanceof Promise ? now() : startedAt
      if (!verdict.allowed) continue
      if (wasBanned) write(`X ${agent} passed while it was banned`)
      write(`${isSent ? 'S' : 'R'} ${agent} ${startedAt + offsetMs} ${decidedAt + offsetMs} ${bytes}`)
      if (!isSent) unsent.push(() => limiter.refund(asked, verdict))
    }
    if (unsent.length > 0 && random() < 0.7) await sleep(random() * 100)
    for (const refund of unsent) refund()
    await (random() < 0.5 ? sleep(random() * 10) : turn())
  }
}

async function change(agent: string, isBan: boolean, durationMs?: number): Promise<void> {
  const record = isBan
    ? await limiter.bans.ban({ agent, reason: 'test', author: 'crash-child', durationMs })
    : (await limiter.bans.unban(agent, 'test', 'crash-child')).record
  write(`C ${record.revision} ${agent} ${record.action}`)
}

/** Bans that stay, bans that come and go, some of them of both processes, and one of an agent under load. */
async function ban(): Promise<void> {
  if (which === '0') await change('deep', false)
  for (let count = 0; !isEnding; count++) {
    await change(`kept-${process.pid}-${count}`, true)
    const changes = Array.from({ length: 4 }, () => {
      const name = random() < 0.5 ? `own-${which}` : 'shared'
      const isBan = random() < 0.6
      return change(`${name}-${Math.floor(random() * 4)}`, isBan, random() < 0.3 ? 3_600_000 : undefined)
    })
    await Promise.all(changes)
    if (which === '0') {
      await change('deep', true)
      isDeepBanned = true
      await sleep(random() * 20)
      isDeepBanned = false
      await change('deep', false)
    }
    await sleep(10 + random() * 30)
  }
}

await Promise.all([...Array.from({ length: CALLERS }, call), ban()])
await limiter.drain()
await store.close()
process.exit(0)

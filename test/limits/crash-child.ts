import { openSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '../../src/core/clock.ts'
import { systemClock } from '../../src/core/clock.ts'
import { seededRandom } from '../../src/core/random.ts'
import { hostClock } from '../../src/store/host-clock.ts'
import { SqliteLimitStore } from '../../src/store/limits/sqlite-limit-store.ts'
import { Store } from '../../src/store/store.ts'
import { CRASH_RULES } from './crash-rules.ts'
import { makeLimiter, request } from './support.ts'

/*
 * One process under load on a shared file, to be killed at any instant: `node crash-child.js FILE LOG SEED`. Each
 * admitted event is in the log (and so in the page cache, which outlives the process) before the next check:
 * `A agent before after`, times in monotonic milliseconds of the host. `B agent` is written once a ban is
 * acknowledged. A line `ready` on stdout says that the load starts; end of stdin asks for a clean end.
 */
const [path = '', logPath = '', seed = '0'] = process.argv.slice(2)
const log = openSync(logPath, 'a')
const random = seededRandom(Number(seed))
const host = hostClock()
let lastNow = 0
const clock: Clock = {
  ...systemClock,
  now: () => {
    lastNow = performance.now()
    return lastNow
  },
}
const store = await Store.open({ path, busyTimeoutMs: 10_000 })
const limitStore = new SqliteLimitStore(store, clock, host)
const agents = new Map(Object.entries(CRASH_RULES).map(([agent, rule]) => [agent, [rule]]))
const limiter = makeLimiter({ clock, store: limitStore, agents, storeTimeoutMs: 5000, capacity: 2 })
await limiter.start()
let isEnding = false
process.stdin.on('end', () => {
  isEnding = true
})
process.stdin.resume()
process.stdout.write('ready\n')

const names = Object.keys(CRASH_RULES)
for (let round = 0; !isEnding; round++) {
  const agent = names[Math.floor(random() * names.length)]!
  for (let events = 1 + Math.floor(random() * 20); events > 0; events--) {
    const before = performance.now()
    const verdict = await limiter.check(request({ agent }))
    if (verdict.allowed) writeSync(log, `A ${agent} ${before + host.offsetMs} ${lastNow + host.offsetMs}\n`)
  }
  if (round % 25 === 0) {
    const name = `bad-${process.pid}-${round}`
    await limiter.bans.ban({ agent: name, reason: 'test', author: 'crash-child' })
    writeSync(log, `B ${name}\n`)
  }
  if (random() < 0.3) await sleep(random() * 10)
}
await limiter.drain()
await store.close()
process.exit(0)

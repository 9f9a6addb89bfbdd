import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { seededRandom } from '../../src/core/random.ts'
import { TokenBucket } from '../../src/policy/limits/token-bucket.ts'
import type {
  BanChange,
  BanRecord,
  LeaseAsk,
  LeaseGrant,
  LimitStore,
} from '../../src/proxy/limits/limit-store.ts'
import { type Admission, worstExcess } from '../limits/crash-rules.ts'
import { eventually } from '../support/eventually.ts'

/** Opens an empty store; closes it with the test. */
export type OpenStore = (test: TestContext) => Promise<LimitStore>

const START = 10_000

function ask(parts: Partial<LeaseAsk> = {}): LeaseAsk {
  return {
    key: 'waf\nevents\n',
    rate: 10,
    burst: 100,
    atMs: START,
    seq: 0,
    give: 0,
    owed: 0,
    want: 0,
    least: 0,
    ahead: 0,
    ...parts,
  }
}

async function settle(store: LimitStore, parts: Partial<LeaseAsk>): Promise<LeaseGrant> {
  const grants = await store.settle([ask(parts)])
  assert.equal(grants.length, 1)
  return grants[0]!
}

function size(grant: LeaseGrant): number {
  return Math.round((grant.to - grant.from) * 1e6) / 1e6
}

function change(agent: string, action: 'ban' | 'unban', rest: Partial<BanChange> = {}): BanChange {
  return { agent, action, reason: 'too loud', author: 'ops', atWallMs: 1, untilWallMs: undefined, ...rest }
}

/** Opens an empty store that can lose what it holds: `lose` takes it away, unnoticed until something is asked. */
export type OpenLosable = (
  test: TestContext,
) => Promise<{ readonly store: LimitStore; readonly lose: () => void }>

/** For a store that can lose what it holds while the process lives. */
export function losableStoreConformance(name: string, open: OpenLosable): void {
  describe(`limit store that can be lost: ${name}`, () => {
    it('tells the last listener once that it was replaced, before anything is asked of the new one', async (test) => {
      const { store, lose } = await open(test)
      const told: string[] = []
      store.whenReplaced(() => told.push('first'))
      let rebooked: Promise<BanRecord> | undefined
      store.whenReplaced(() => {
        told.push('last')
        rebooked = store.changeBan(change('again', 'ban'))
      })
      await store.changeBan(change('waf', 'ban'))
      lose()
      await eventually('it was replaced', async () => {
        await store.changeBan(change('late', 'unban')).catch(() => {})
        return told.length > 0
      })
      await rebooked
      assert.deepEqual(
        (await store.bansSince(0)).map(({ agent }) => agent),
        ['again'],
      )
      const oldest = (await store.banHistory(undefined, 1000)).at(-1)
      assert.equal(oldest?.agent, 'again')
      assert.deepEqual(told, ['last'])
    })
  })
}

/** The rules that every store behind the limiter keeps. Run it over a new engine before using it. */
export function limitStoreConformance(name: string, open: OpenStore): void {
  describe(`limit store: ${name}`, () => {
    it('hands out an unknown bucket as a full one, and not more', async (test) => {
      const store = await open(test)
      assert.equal(size(await settle(store, { want: 1000 })), 100)
      assert.equal(size(await settle(store, { want: 1, least: 1 })), 0)
    })

    it('tells how buckets stand without changing them', async (test) => {
      const store = await open(test)
      const { seq } = await settle(store, { want: 30 })
      for (let look = 0; look < 2; look++) {
        const [known, unknown] = await store.look(['waf\nevents\n', 'waf\nevents\nx'], START + 1000)
        assert.deepEqual(
          {
            ...known,
            remaining: Math.round(known?.remaining ?? 0),
            debt: Math.round(known?.debt ?? 0),
            resetMs: Math.round(known?.resetMs ?? 0),
          },
          { key: 'waf\nevents\n', remaining: 80, burst: 100, debt: 20, resetMs: 2000 },
        )
        assert.equal(unknown, undefined)
      }
      assert.equal(size(await settle(store, { want: 1000, seq })), 70)
    })

    it('finds the emptiest buckets of a prefix, step by step, and no others', async (test) => {
      const store = await open(test)
      const asks = Array.from({ length: 5000 }, (_, index) =>
        ask({ key: `waf\nip\n${index}`, burst: 10_000, rate: 0, want: index }),
      )
      await store.settle([...asks, ask({ key: 'waf\nip', want: 100 }), ask({ key: 'waf\nip2\n', want: 100 })])
      const found = new Map<string, number>()
      let after: string | undefined = ''
      for (let steps = 0; after !== undefined; steps++) {
        assert.ok(steps < 50, 'it ends')
        const step: Awaited<ReturnType<LimitStore['lookAfter']>> = await store.lookAfter(
          'waf\nip\n',
          after,
          2,
          START,
        )
        assert.ok(step.lowest.length <= 2)
        for (const { key, remaining } of step.lowest) found.set(key, remaining)
        after = step.next
      }
      const lowest = [...found].sort(([, one], [, other]) => one - other).slice(0, 2)
      assert.deepEqual(lowest, [
        ['waf\nip\n4999', 5001],
        ['waf\nip\n4998', 5002],
      ])
    })

    it('answers the asks of one call in order, each seeing the ones before it', async (test) => {
      const store = await open(test)
      const grants = await store.settle([
        ask({ want: 60 }),
        ask({ want: 60, least: 60 }),
        ask({ key: 'other', want: 60 }),
      ])
      assert.deepEqual(grants.map(size), [60, 40, 60])
    })

    it('refills by the time of the asks', async (test) => {
      const store = await open(test)
      await settle(store, { want: 100 })
      assert.equal(size(await settle(store, { want: 100, least: 100, atMs: START + 3000 })), 30)
    })

    it('refills nothing for an ask that is older than the last one', async (test) => {
      const store = await open(test)
      await settle(store, { want: 100, atMs: START + 5000 })
      assert.equal(size(await settle(store, { want: 100, least: 100, atMs: START })), 0)
      assert.equal(size(await settle(store, { want: 100, least: 100, atMs: START + 5000 })), 0)
    })

    it('never refills at rate 0', async (test) => {
      const store = await open(test)
      await settle(store, { rate: 0, want: 100 })
      assert.equal(size(await settle(store, { rate: 0, want: 1, least: 1, atMs: START + 1e9 })), 0)
    })

    it('takes unused tokens back from the holder that got the last ones', async (test) => {
      const store = await open(test)
      const { seq } = await settle(store, { want: 100 })
      await settle(store, { seq, give: 70 })
      assert.equal(size(await settle(store, { want: 100, least: 100 })), 70)
    })

    it('takes nothing back once somebody else got tokens', async (test) => {
      const store = await open(test)
      const first = await settle(store, { want: 50 })
      await settle(store, { want: 20, least: 20 })
      await settle(store, { seq: first.seq, give: 50 })
      assert.equal(size(await settle(store, { want: 100, least: 100 })), 30)
    })

    it('takes unused tokens of a bucket that never refills back from every holder, and hands out no more', async (test) => {
      const store = await open(test)
      const never = { rate: 0 }
      const first = await settle(store, { ...never, want: 50 })
      const second = await settle(store, { ...never, want: 20, least: 20 })
      await settle(store, { ...never, seq: first.seq, give: 40 })
      const next = await settle(store, { ...never, seq: second.seq, want: 100, least: 70 })
      assert.deepEqual([size(next), next.isContiguous], [70, false])
      assert.equal(size(await settle(store, { ...never, want: 1, least: 1 })), 0)
    })

    it('never lets a holder that got nothing pass for the owner of the last tokens', async (test) => {
      const store = await open(test)
      await settle(store, { want: 100 })
      const empty = await settle(store, { want: 10, least: 10 })
      const next = await settle(store, { seq: empty.seq, give: 50, want: 10, least: 10 })
      assert.equal(size(next), 0)
      assert.equal(next.isContiguous, false)
    })

    it('says whether tokens follow those granted before', async (test) => {
      const store = await open(test)
      const first = await settle(store, { want: 10 })
      const second = await settle(store, { seq: first.seq, want: 10 })
      assert.deepEqual([second.isContiguous, second.from, second.to], [true, 10, 20])
      await settle(store, { want: 5, least: 5 })
      assert.equal((await settle(store, { seq: second.seq, want: 10 })).isContiguous, false)
    })

    it('hands out refill ahead of its time only while nobody else wants any', async (test) => {
      const store = await open(test)
      const first = await settle(store, { want: 110, ahead: 10 })
      assert.equal(size(first), 110)
      assert.equal(size(await settle(store, { want: 5, least: 5 })), 0)
      const later = await settle(store, { seq: first.seq, atMs: START + 1000, want: 10, ahead: 10 })
      assert.equal(later.isContended, true)
      assert.equal(size(later), 0)
    })

    it('books tokens that were spent without it, even beyond the burst', async (test) => {
      const store = await open(test)
      await settle(store, { owed: 150 })
      assert.equal(size(await settle(store, { want: 10, least: 10, atMs: START + 5000 })), 0)
      assert.equal(size(await settle(store, { want: 10, least: 10, atMs: START + 6000 })), 10)
    })

    it('keeps what was spent when rate and burst change', async (test) => {
      const store = await open(test)
      await settle(store, { want: 80 })
      const wider = { rate: 1, burst: 200 }
      assert.equal(size(await settle(store, { ...wider, want: 500, least: 500 })), 120)
      const narrow = { rate: 1, burst: 20 }
      assert.equal(size(await settle(store, { ...narrow, want: 5, least: 5 })), 0)
      assert.equal(size(await settle(store, { ...narrow, want: 5, least: 5, atMs: START + 5000 })), 5)
    })

    it('remembers beside a lowered burst what was spent of the old one, and counts it again once it is raised', async (test) => {
      const store = await open(test)
      const full = { burst: 100, want: 100, least: 100 }
      await settle(store, { ...full, key: 'soon', want: 80, least: 80 })
      await settle(store, { ...full, key: 'later', want: 80, least: 80 })
      const low = { burst: 20, want: 5, least: 5 }
      for (const key of ['soon', 'later']) assert.equal(size(await settle(store, { ...low, key })), 0)
      const [looked] = await store.look(['soon'], START)
      assert.deepEqual([looked?.remaining, looked?.burst, looked?.debt], [0, 20, 80])
      /* Within the lowered burst nobody waits longer than for its own refill. */
      assert.equal(size(await settle(store, { ...low, key: 'later', atMs: START + 1000 })), 5)
      assert.equal(size(await settle(store, { ...full, key: 'soon' })), 20)
      /* 80 and 5 out, 30 refilled since. */
      assert.equal(size(await settle(store, { ...full, key: 'later', atMs: START + 3000 })), 45)
    })

    it('refills what was remembered beside a lowered burst once nothing else is out, and forgets no such bucket', async (test) => {
      const store = await open(test)
      await settle(store, { want: 80 })
      await settle(store, { burst: 20 })
      assert.equal((await store.expireIdle(START + 5000)).expired, 0)
      const raised = { want: 100, least: 100, atMs: START + 5000 }
      assert.equal(size(await settle(store, raised)), 70)
      await settle(store, { key: 'rested', want: 80 })
      await settle(store, { key: 'rested', burst: 20 })
      assert.equal((await store.expireIdle(START + 8000)).expired, 1)
    })

    it('keeps the sum of several holders within burst + rate x elapsed, in whatever order they act', async (test) => {
      const store = await open(test)
      let spent = 0
      for (let seed = 1; seed <= 60; seed++) spent += await simulate(store, seed)
      assert.ok(spent > 1000, `only ${spent} tokens were spent`)
    })

    it('forgets a bucket that is full again, and no other', async (test) => {
      const store = await open(test)
      await store.settle([ask({ key: 'full', want: 10 }), ask({ key: 'used', want: 90 })])
      const facts = await store.expireIdle(START + 1000)
      assert.deepEqual([facts.expired, facts.rows], [1, 1])
      assert.equal(size(await settle(store, { key: 'used', want: 50, least: 50, atMs: START + 1000 })), 20)
    })

    it('lists a ban until it is lifted', async (test) => {
      const store = await open(test)
      const ban = await store.changeBan(change('waf', 'ban', { untilWallMs: 99 }))
      assert.deepEqual(await store.bansSince(0), [ban])
      assert.deepEqual({ ...ban, revision: 0 }, { ...change('waf', 'ban', { untilWallMs: 99 }), revision: 0 })
      await store.changeBan(change('waf', 'unban'))
      assert.deepEqual(await store.bansSince(0), [])
    })

    it('lifts a ban that does not exist without complaint', async (test) => {
      const store = await open(test)
      assert.equal((await store.changeBan(change('nobody', 'unban'))).action, 'unban')
    })

    it('replaces a ban by the next one of the same agent', async (test) => {
      const store = await open(test)
      await store.changeBan(change('waf', 'ban', { reason: 'first' }))
      await store.changeBan(change('waf', 'ban', { reason: 'second' }))
      assert.deepEqual(
        (await store.bansSince(0)).map((ban) => ban.reason),
        ['second'],
      )
    })

    it('writes nothing if the agent has a newer change than the caller knows, and tells that change', async (test) => {
      const store = await open(test)
      const first = await store.changeBan(change('a', 'ban'), 0)
      await store.changeBan(change('b', 'ban'))
      const second = await store.changeBan(change('a', 'ban', { reason: 'again' }), first.revision)
      const lift = await store.changeBan(change('a', 'unban'))
      assert.deepEqual(await store.changeBan(change('a', 'ban'), second.revision), lift)
      assert.deepEqual(
        (await store.banHistory('a', 10)).map(({ action, reason }) => `${action} ${reason}`),
        [lift, second, first].map(({ action, reason }) => `${action} ${reason}`),
      )
      assert.equal((await store.bansSince(0)).length, 1)
    })

    it('tells every change after a revision, in order, and nothing before', async (test) => {
      const store = await open(test)
      const first = await store.changeBan(change('a', 'ban'))
      await store.changeBan(change('b', 'ban'))
      await store.changeBan(change('a', 'unban'))
      const later = await store.bansSince(first.revision)
      assert.deepEqual(
        later.map(({ agent, action }) => `${action} ${agent}`),
        ['ban b', 'unban a'],
      )
    })

    it('keeps the history of bans, the newest first', async (test) => {
      const store = await open(test)
      await store.changeBan(change('a', 'ban', { reason: 'one' }))
      await store.changeBan(change('b', 'ban', { reason: 'two' }))
      await store.changeBan(change('a', 'unban', { reason: 'three' }))
      const reasons = async (agent: string | undefined, limit: number): Promise<readonly string[]> =>
        (await store.banHistory(agent, limit)).map((record) => record.reason)
      assert.deepEqual(await reasons(undefined, 10), ['three', 'two', 'one'])
      assert.deepEqual(await reasons('a', 10), ['three', 'one'])
      assert.deepEqual(await reasons(undefined, 1), ['three'])
    })
  })
}

interface Holder {
  bucket: TokenBucket
  seq: number
  /** When its events were decided that may still turn out not to be sent. */
  unsent: number[]
}

/** Holders that lease, spend, refund, give back and vanish at random. Returns how many tokens were spent. */
async function simulate(store: LimitStore, seed: number): Promise<number> {
  const random = seededRandom(seed)
  const key = `simulated ${seed}`
  /* Tokens that vanish with a holder would make up for tokens that are given back twice. */
  const isSteady = seed % 2 === 0
  const rate = random() < 0.1 ? 0 : random() * (isSteady ? 5 : 200)
  const burst = 1 + Math.floor(random() * 100)
  let now = START
  const fresh = (): Holder => ({ bucket: new TokenBucket(rate, burst, now, true), seq: 0, unsent: [] })
  const holders = [fresh(), fresh(), fresh()]
  const spent: Admission[] = []
  for (let step = 0; step < 300; step++) {
    if (random() < 0.4) now += random() * (random() < 0.1 ? 3000 : 100)
    const index = Math.floor(random() * holders.length)
    const holder = holders[index]!
    const { bucket } = holder
    const action = random()
    if (action < 0.03 && !isSteady) {
      holders[index] = fresh()
    } else if (action < 0.5) {
      const isSent = random() < 0.5
      while (random() < 0.8) {
        if (bucket.take(now, 1) !== 'taken') continue
        if (isSent) spent.push({ beforeMs: now, afterMs: now })
        else holder.unsent.push(now)
      }
    } else if (action < 0.6) {
      for (const takenAt of holder.unsent) bucket.refund(1, takenAt, now)
      holder.unsent = []
    } else {
      const isReturn = action < 0.8
      const part = random() < 0.5 ? Number.POSITIVE_INFINITY : random() * burst
      const give = isReturn ? bucket.giveBack(now, part) : 0
      const want = isReturn ? 0 : Math.max(0, bucket.wanted(now, random() * burst, random() * 1500))
      const least = isReturn ? 0 : Math.min(want, 1)
      const ahead = rate * random()
      /* Spent while the ask is on its way. */
      if (random() < 0.5 && bucket.take(now, 1) === 'taken') spent.push({ beforeMs: now, afterMs: now })
      const asked = { key, rate, burst, atMs: now, seq: holder.seq, give, want, least, ahead }
      const grant = await settle(store, asked)
      bucket.grant(grant)
      holder.seq = grant.seq
    }
  }
  const excess = worstExcess(spent, rate, burst)
  assert.ok(excess <= 1e-3, `seed ${seed}: ${excess} tokens too many at rate ${rate}, burst ${burst}`)
  return spent.length
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../src/core/clock.ts'
import { MeasuredLoad } from '../../src/daemon/measured-load.ts'
import { allow } from '../../src/sdk/answer.ts'
import { makeLimiter, request, rule } from '../limits/support.ts'
import { UnsteadyStore } from '../limits/unsteady-store.ts'
import { eventually } from '../support/eventually.ts'
import { FakeClock } from '../support/fake-clock.ts'
import type { HttpAnswer } from '../support/http-call.ts'
import { Place } from './harness.ts'

const STORAGE = { path: 'unused', maxBuckets: 1000, onFailure: 'deny', batches: 'adaptive' } as const

/** Uses 400 buckets and settles them; returns how many the largest call carried. */
async function checkpointOf(limiter: ReturnType<typeof makeLimiter>): Promise<number> {
  await limiter.checkpoint()
  limiter.takeLargestBatch()
  for (let agent = 0; agent < 400; agent++) await limiter.check(request({ agent: `agent ${agent}` }))
  await limiter.checkpoint()
  return limiter.takeLargestBatch()
}

function holdLoop(): () => void {
  const hold = setInterval(() => {
    const until = performance.now() + 60
    while (performance.now() < until);
  }, 5)
  return () => clearInterval(hold)
}

test('slices of a checkpoint shrink while the event loop is held up, and can be told not to', async (t) => {
  const limiter = makeLimiter({
    clock: systemClock,
    store: new UnsteadyStore(),
    rules: [rule(1, 100)],
    agentCount: 400,
  })
  const load = new MeasuredLoad(undefined, STORAGE, limiter, systemClock)
  t.after(() => load.stop())
  assert.ok((await checkpointOf(limiter)) > 64)
  const letGo = holdLoop()
  t.after(letGo)
  await eventually('slices are smaller', () => limiter.checkpointBatch <= 64, 20_000)
  letGo()
  assert.ok((await checkpointOf(limiter)) <= 64)
  assert.equal(load.facts.requests, undefined)
  assert.equal(load.view, undefined)
  assert.equal(load.configure(undefined, { ...STORAGE, batches: 'fixed' }), false)
  assert.equal(await checkpointOf(limiter), 128)
  t.after(holdLoop())
  await eventually('the load presses', () => load.facts.state === 'pressed', 20_000)
  assert.equal(limiter.checkpointBatch, 128)
})

test('slices grow while the loop is calm and buckets wait for them, and not when nothing waits', async (t) => {
  const clock = new FakeClock()
  const limiter = makeLimiter({
    clock,
    store: new UnsteadyStore(),
    rules: [rule(1, 100)],
    capacity: 5000,
    agentCount: 4000,
  })
  const load = new MeasuredLoad(undefined, STORAGE, limiter, clock)
  t.after(() => load.stop())
  const calm = { loopLagMs: 1, utilization: 0.2, cpuCores: 0.2 }
  for (let interval = 0; interval < 20; interval++) load.observe(calm)
  assert.equal(limiter.checkpointBatch, 128)
  for (let interval = 0; interval < 20; interval++) {
    await checkpointOf(limiter)
    load.observe(calm)
  }
  assert.equal(limiter.checkpointBatch, 128, 'what was looked at is not counted twice')
  for (let interval = 0; interval < 200; interval++) {
    for (let agent = 0; agent < 4000; agent += 1) void limiter.check(request({ agent: `agent ${agent}` }))
    await limiter.checkpoint()
    load.observe(calm)
  }
  assert.ok(limiter.checkpointBatch > 128 && limiter.checkpointBatch <= 1024, `${limiter.checkpointBatch}`)
})

test('measured load and what is made of it are in the metrics, beside the limit of requests', async (t) => {
  const place = await Place.make(t)
  await place.agent('a')
  await place.configure('{ a: { endpoint: "unix:./a.sock" } }', 'a', 'overload: { maxInFlight: 500 }')
  const daemon = await place.serve('--wait-for-agents', '5000')
  await daemon.get('/')
  await eventually('a first sample is in', async () =>
    /^weir_load_event_loop_utilization_ratio 0\.\d/m.test((await daemon.admin('/metrics')).text),
  )
  const { text } = await daemon.admin('/metrics')
  for (const line of [
    /^weir_load_event_loop_lag_seconds \d/m,
    /^weir_load_cpu_cores \d/m,
    /^weir_load_queue_seconds \d/m,
    /^weir_load_pressure_ratio \d/m,
    /^weir_load_requests_limit \d+$/m,
    /^weir_load_requests_in_flight 0$/m,
    /^weir_load_refused_total 0$/m,
    /^weir_load_checkpoint_batch \d+$/m,
  ])
    assert.match(text, line)
  const states = [...text.matchAll(/^weir_load_state\{state="\w+"\} (\d)$/gm)].map(([, value]) =>
    Number(value),
  )
  assert.equal(states.length, 3)
  assert.equal(
    states.reduce((sum, value) => sum + value, 0),
    1,
  )
})

test('a limit of requests comes, changes and goes with reloads, and requests under way stay counted', async (t) => {
  const place = await Place.make(t)
  const held: (() => void)[] = []
  await place.agent('a', {
    onRequestHeaders: async () => {
      await new Promise<void>((resolve) => held.push(resolve))
      return allow()
    },
  })
  const agents = '{ a: { endpoint: "unix:./a.sock", timeoutMs: 30000 } }'
  await place.configure(agents, 'a')
  const daemon = await place.serve('--wait-for-agents', '5000')
  const limitOf = async (): Promise<unknown> =>
    (JSON.parse((await daemon.admin('/v1/status')).text) as { readonly load?: { readonly limit: number } })
      .load?.limit
  /** So many more requests that an agent has, and one more that it does not get if it is refused. */
  const hold = async (count: number): Promise<Promise<HttpAnswer>[]> => {
    const before = held.length
    const asked = Array.from({ length: count }, () => daemon.get('/'))
    await eventually('the agent has them', () => held.length === before + count)
    return asked
  }
  const letGo = async (asked: Promise<HttpAnswer>[]): Promise<void> => {
    for (const release of held.splice(0)) release()
    for (const answer of await Promise.all(asked)) assert.equal(answer.status, 200)
  }
  const reload = async (overload: string, limit: number | undefined): Promise<void> => {
    await place.configure(agents, 'a', overload)
    await eventually(`the limit is ${limit}`, async () => (await limitOf()) === limit)
  }
  assert.equal(await limitOf(), undefined)
  await letGo(await hold(3))
  await reload('overload: { minInFlight: 2, maxInFlight: 2, loopLagMs: 60000, queueMs: 60000 }', 2)
  const two = await hold(2)
  assert.equal((await daemon.get('/')).status, 503)
  await reload('overload: { minInFlight: 3, maxInFlight: 3, loopLagMs: 60000, queueMs: 60000 }', 3)
  const third = await hold(1)
  assert.equal((await daemon.get('/')).status, 503)
  await reload('', undefined)
  await letGo([...two, ...third, ...(await hold(4))])
  await reload('overload: { minInFlight: 1, maxInFlight: 1, loopLagMs: 60000, queueMs: 60000 }', 1)
  const one = await hold(1)
  assert.equal((await daemon.get('/')).status, 503)
  await letGo(one)
  await letGo(await hold(1))
  assert.doesNotMatch(daemon.process.output(), /take effect at the next start only/)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { LeaseOutcome } from '../../../src/pool/lease.ts'
import { seen, tick, warmUp } from './bursts.ts'
import { World } from './world.ts'

type Model = Record<string, never>

/** One step of a schedule. `at` picks among what exists at that moment, so every step always means something. */
class Step implements fc.AsyncCommand<Model, World> {
  readonly #name: string
  readonly #act: (world: World) => void

  constructor(name: string, act: (world: World) => void) {
    this.#name = name
    this.#act = act
  }

  check(): boolean {
    return true
  }

  async run(_model: Model, world: World): Promise<void> {
    this.#act(world)
    await world.settle()
    world.check()
  }

  toString(): string {
    return this.#name
  }
}

function at<T>(list: readonly T[], index: number): T | undefined {
  return list.length === 0 ? undefined : list[index % list.length]
}

const index = fc.nat({ max: 7 })
const request = fc.constantFrom('a', 'b', 'c')
/** Bytes of a chunk; undefined: no body chunk. */
const bytes = fc.option(fc.constantFrom(1, 3), { nil: undefined })
const outcome = fc.constantFrom<LeaseOutcome>(
  'replied',
  'timeout',
  'bad-reply',
  'lost',
  'not-sent',
  'cancelled',
)

/** Milliseconds; most agents answer fast enough for bursts. */
const replyMs = fc.constantFrom(1, 1, 1, 50)

/** How long the flow gate holds a request's body back when nobody resumes it. */
const BODY_PAUSE_MS = 60_000

/** A connection that lives, or one that died. */
function anyId(world: World, n: number): number {
  return at([...world.known.keys()], n) ?? 0
}

function part(size: number | undefined) {
  return size === undefined ? { isBody: false } : { isBody: true, bodyBytes: size }
}

const steps: fc.Arbitrary<Step>[] = [
  fc.constant(new Step('lease', (world) => world.lease({}))),
  fc.constant(new Step('wait', (world) => world.wait({}))),
  fc
    .tuple(request, bytes)
    .map(
      ([id, size]) =>
        new Step(`lease ${id} ${size}`, (world) => world.lease({ correlationId: id, ...part(size) })),
    ),
  fc
    .tuple(request, bytes)
    .map(
      ([id, size]) =>
        new Step(`wait ${id} ${size}`, (world) => world.wait({ correlationId: id, ...part(size) })),
    ),
  fc
    .tuple(index, request, bytes)
    .map(
      ([n, id, size]) =>
        new Step(`lease pinned ${n} ${id} ${size}`, (world) =>
          world.lease({ correlationId: id, pinnedTo: anyId(world, n), ...part(size) }),
        ),
    ),
  fc
    .tuple(index, request, bytes)
    .map(
      ([n, id, size]) =>
        new Step(`wait pinned ${n} ${id} ${size}`, (world) =>
          world.wait({ correlationId: id, pinnedTo: anyId(world, n), ...part(size) }),
        ),
    ),
  fc.tuple(index, outcome, replyMs).map(
    ([n, how, ms]) =>
      new Step(`release ${n} ${how} after ${ms} ms`, (world) => {
        const lease = at(world.leases, n)
        if (lease !== undefined) world.release(lease, how, ms)
      }),
  ),
  fc
    .integer({ min: 3, max: 10 })
    .map((count) => new Step(`a tick of ${count}`, (world) => tick(world, count))),
  fc.tuple(index, fc.boolean()).map(
    ([n, gathers]) =>
      new Step(`${gathers ? 'gathers' : 'flushes'} ${n}`, (world) => {
        const connection = at(world.alive, n)
        if (connection !== undefined) connection.fake.isGathering = gathers
      }),
  ),
  fc.constant(new Step('warm-up', warmUp)),
  index.map(
    (n) =>
      new Step(`withdraw ${n}`, (world) => {
        const waiting = at(world.waiting, n)
        if (waiting === undefined) return
        waiting.isWithdrawn = true
        world.pool.withdraw(waiting.waiter)
      }),
  ),
  index.map(
    (n) =>
      new Step(`fail ${n}`, (world) => {
        const connection = at(world.alive, n)
        if (connection !== undefined) world.fail(connection)
      }),
  ),
  fc.tuple(index, fc.boolean()).map(
    ([n, pauses]) =>
      new Step(`${pauses ? 'pause' : 'resume'} ${n}`, (world) => {
        const connection = at(world.alive, n)
        if (connection === undefined) return
        connection.isPaused = pauses
        connection.fake.flow(pauses ? 'pause' : 'resume')
      }),
  ),
  fc.tuple(index, request, fc.boolean()).map(
    ([n, id, pauses]) =>
      new Step(`${pauses ? 'pause' : 'resume'} body ${id} on ${n}`, (world) => {
        const connection = at(world.alive, n)
        if (connection === undefined) return
        if (pauses) connection.pausedBodies.set(id, world.clock.now() + BODY_PAUSE_MS)
        else connection.pausedBodies.delete(id)
        connection.fake.flow(pauses ? 'pause' : 'resume', id)
      }),
  ),
  fc
    .tuple(index, fc.constantFrom('writable' as const, 'unwritable' as const))
    .map(([n, state]) => new Step(`${state} ${n}`, (world) => at(world.alive, n)?.fake.transitionTo(state))),
  fc.tuple(index, fc.constantFrom(0, 1, 2, 5)).map(
    ([n, window]) =>
      new Step(`window ${window} on ${n}`, (world) => {
        const connection = at(world.alive, n)
        if (connection === undefined) return
        connection.windowBytes = window
        connection.fake.flow('update-capacity', undefined, window)
      }),
  ),
  fc.constantFrom('succeed' as const, 'fail' as const, 'hang' as const).map(
    (answer) =>
      new Step(`dials ${answer}`, (world) => {
        world.dialer.answer = answer
      }),
  ),
  fc.tuple(index, fc.boolean()).map(
    ([n, succeeds]) =>
      new Step(`dial ${n} ${succeeds ? 'succeeds' : 'fails'}`, (world) => {
        const dial = at(world.dialer.waiting, n)
        if (succeeds) dial?.succeed()
        else dial?.fail()
      }),
  ),
  fc.constantFrom(10, 500, 3000, 20_000).map((ms) => new Step(`${ms} ms pass`, (world) => world.pass(ms))),
  fc.constant(
    new Step('drain', (world) => {
      void world.drain(5000)
    }),
  ),
]

/** Drains end a schedule's story early, so they are rare; releases keep it going. */
const WEIGHTS = [14, 8, 4, 4, 12, 12, 24, 8, 6, 6, 3, 6, 9, 9, 6, 9, 3, 3, 9, 1]
const step = fc.oneof(...steps.map((arbitrary, n) => ({ arbitrary, weight: WEIGHTS[n]! })))

const settings = fc.record({
  connections: fc.integer({ min: 1, max: 3 }),
  maxConcurrentPerConnection: fc.constantFrom(1, 2, 3, 8),
  maxWaiters: fc.integer({ min: 1, max: 4 }),
  maxBurst: fc.constantFrom(1, 2, 32),
  maxConnectionAgeMs: fc.constantFrom(Number.POSITIVE_INFINITY, 10_000),
  maxConnectionUses: fc.constantFrom(Number.POSITIVE_INFINITY, 5),
})

test('a pool answers as its model does through ten thousand random schedules', async () => {
  await fc.assert(
    fc.asyncProperty(settings, fc.array(step, { maxLength: 25, size: 'max' }), async (options, schedule) => {
      const world = new World(options)
      await world.settle()
      for (const one of schedule) await one.run({}, world)
      await world.end()
    }),
    { numRuns: 10_000 },
  )
  /* A schedule without bursts proves nothing of them; it was 900, 100 and 1,000. */
  assert.ok(seen.followed > 200 && seen.bounded > 20 && seen.slow > 200, JSON.stringify(seen))
})

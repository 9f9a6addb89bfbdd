import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CorrelationIds, slotOf } from '../../src/core/correlation-id.ts'
import { eventsWaiting, PendingTable } from '../../src/transport/proxy-end/pending-table.ts'
import { Asked, failureOf } from '../conformance/support/observed.ts'

/** What the table must do, said as plainly as possible: per id, a queue in which abandoned events keep a mark. */
class Model {
  readonly #queues = new Map<string, (Asked | 'abandoned')[]>()

  accepts(id: string): boolean {
    return this.#queues.get(id)?.includes('abandoned') !== true
  }

  insert(asked: Asked): void {
    const queue = this.#queues.get(asked.correlationId)
    if (queue === undefined) this.#queues.set(asked.correlationId, [asked])
    else queue.push(asked)
  }

  take(id: string): Asked | undefined {
    const queue = this.#queues.get(id)
    const head = queue?.shift()
    if (queue?.length === 0) this.#queues.delete(id)
    return head === 'abandoned' ? undefined : head
  }

  abandon(asked: Asked): boolean {
    const queue = this.#queues.get(asked.correlationId)
    const at = queue?.indexOf(asked) ?? -1
    if (at >= 0) queue![at] = 'abandoned'
    return at >= 0
  }

  /** The youngest of its id, or undefined. */
  youngest(id: string): Asked | undefined {
    const last = this.#queues.get(id)?.at(-1)
    return last === 'abandoned' ? undefined : last
  }

  retract(asked: Asked): void {
    const queue = this.#queues.get(asked.correlationId)!
    queue.pop()
    if (queue.length === 0) this.#queues.delete(asked.correlationId)
  }

  get waiting(): Asked[] {
    return [...this.#queues.values()].flat().filter((entry): entry is Asked => entry !== 'abandoned')
  }
}

type Step = readonly [kind: 'insert' | 'take' | 'abandon' | 'retract', id: number]

test('the pending table answers like a map of queues, whatever ids collide', () => {
  const ids = new CorrelationIds('abcdefgh')
  const own = Array.from({ length: 600 }, () => ids.next())
  /* Few slots, many ids: neighbours, ids one table length apart, and foreign ones. */
  const pool = [...own.slice(0, 40), own[16]!, own[32]!, own[256]!, own[512]!, own[528]!, 'foreign', 'x', '']
  const step: fc.Arbitrary<Step> = fc.tuple(
    fc.constantFrom('insert', 'insert', 'insert', 'take', 'take', 'abandon', 'retract'),
    fc.nat(pool.length - 1),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const table = new PendingTable()
      const model = new Model()
      const elsewhere = eventsWaiting()
      for (const [kind, index] of steps) {
        const id = pool[index]!
        if (kind === 'insert') {
          const asked = new Asked(id)
          if (!model.accepts(id)) assert.throws(() => table.insert(asked), { code: 'CONFLICT', sent: false })
          else {
            table.insert(asked)
            model.insert(asked)
          }
        } else if (kind === 'take') assert.equal(table.take(id), model.take(id))
        else {
          const asked = model.youngest(id)
          if (asked === undefined) continue
          if (kind === 'abandon') {
            assert.equal(table.abandon(asked), model.abandon(asked))
            assert.equal(table.abandon(asked), false)
          } else {
            table.retract(asked)
            model.retract(asked)
          }
        }
        assert.equal(table.size, model.waiting.length)
        assert.equal(eventsWaiting() - elsewhere, table.size)
      }
      assert.deepEqual(new Set(table.drain()), new Set(model.waiting))
      assert.equal(table.size, 0)
      assert.equal(eventsWaiting(), elsewhere)
    }),
    { numRuns: 400 },
  )
})

test('an older event abandoned before a younger one does not take its reply', () => {
  const table = new PendingTable()
  const id = new CorrelationIds().next()
  const [older, middle, younger] = [new Asked(id), new Asked(id), new Asked(id)]
  for (const asked of [older, middle, younger]) table.insert(asked)
  table.abandon(middle)
  assert.equal(table.take(id), older)
  assert.equal(table.take(id), undefined)
  assert.equal(table.take(id), younger)
})

test('an id can be used again once its late replies have come', async () => {
  const table = new PendingTable()
  const asked = new Asked('c-1')
  table.insert(asked)
  table.abandon(asked)
  assert.equal((await failureOf(() => table.insert(new Asked('c-1')))).code, 'CONFLICT')
  assert.equal(table.take('c-1'), undefined)
  table.insert(new Asked('c-1'))
  assert.equal(table.size, 1)
})

test('a thousand of our own ids in a row need no more than the table, an idle table is small', () => {
  const table = new PendingTable()
  assert.equal(table.slotCount, 16)
  const ids = new CorrelationIds()
  const asked = Array.from({ length: 1000 }, () => new Asked(ids.next()))
  for (const one of asked) table.insert(one)
  assert.ok(table.slotCount <= 4096)
  for (const one of asked) assert.equal(table.take(one.correlationId), one)
})

test('ids that share all slot bits are told apart', () => {
  const ids = new CorrelationIds('abcdefgh')
  const first = ids.next()
  const table = new PendingTable()
  const other = `abcdefgh-1${first.slice(9)}`
  assert.equal(slotOf(first), slotOf(other))
  const [one, two] = [new Asked(first), new Asked(other)]
  table.insert(one)
  table.insert(two)
  assert.equal(table.take(other), two)
  assert.equal(table.take(first), one)
})

test('the memory of abandoned events is bounded', () => {
  const table = new PendingTable()
  for (let index = 0; index < 5000; index++) {
    const asked = new Asked(`c-${index}`)
    table.insert(asked)
    table.abandon(asked)
  }
  /* The oldest were forgotten, the youngest are still known. */
  table.insert(new Asked('c-0'))
  assert.throws(() => table.insert(new Asked('c-4999')), { code: 'CONFLICT' })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Configuration, contentHash } from '../../src/sdk/configuration.ts'

const facts = { version: undefined, isInitial: true }

function gated() {
  const applied: unknown[] = []
  const gates: { resolve: () => void; reject: (error: Error) => void }[] = []
  const configuration = new Configuration((config) => {
    applied.push(config)
    return new Promise<void>((resolve, reject) => gates.push({ resolve, reject }))
  })
  return { applied, gates, configuration }
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('equal content is applied once, however its keys are ordered, and everyone hears of it', async () => {
  const { applied, gates, configuration } = gated()
  const all = [
    configuration.configure({ a: 1, b: [{ c: 2, d: 3 }] }, facts),
    configuration.configure({ b: [{ d: 3, c: 2 }], a: 1 }, facts),
  ]
  await turn()
  assert.equal(applied.length, 1)
  gates[0]!.resolve()
  await Promise.all(all)
  await configuration.configure({ a: 1, b: [{ c: 2, d: 3 }] }, facts)
  assert.equal(applied.length, 1)
})

test('a refusal reaches everyone who brought that content, and the next one tries again', async () => {
  const { applied, gates, configuration } = gated()
  const all = [configuration.configure('x', facts), configuration.configure('x', facts)]
  const refused = Promise.all(all.map((one) => assert.rejects(one, /bad rule/)))
  await turn()
  gates[0]!.reject(new Error('bad rule'))
  await refused
  const again = configuration.configure('x', facts)
  await turn()
  assert.equal(applied.length, 2)
  gates[1]!.resolve()
  await again
})

test('different contents are applied one after the other, the last one wins', async () => {
  const { applied, gates, configuration } = gated()
  const first = configuration.configure(1, facts)
  const second = configuration.configure(2, facts)
  const third = configuration.configure(1, facts)
  await turn()
  assert.deepEqual(applied, [1])
  gates[0]!.resolve()
  await first
  await turn()
  assert.deepEqual(applied, [1, 2])
  gates[1]!.resolve()
  await second
  await turn()
  gates[2]!.resolve()
  await third
  assert.deepEqual(applied, [1, 2, 1])
})

test('null, nothing, an empty object and scalars are contents like any other', () => {
  assert.equal(contentHash(null), contentHash(undefined))
  const hashes = new Set([null, {}, [], 0, '', false, 'null'].map(contentHash))
  assert.equal(hashes.size, 7)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BodyGate, type GateOwner } from '../../../src/frontend/http/body-gate.ts'
import type { BodyPlan } from '../../../src/proxy/chain.ts'
import { VerdictDraft } from '../../../src/proxy/merge.ts'
import type { Verdict } from '../../../src/proxy/verdict.ts'

const KIB = 1024
const PIECE = Buffer.alloc(64 * KIB, 'x')
const PLAN: BodyPlan = { mode: 'stream', maxBytes: 1 << 30, onTooLarge: 'reject' }
const ALLOW = new VerdictDraft().allowed()
const BLOCK: Verdict = { ...ALLOW, decision: { kind: 'block', status: 403 } }
const MORE: Verdict = { ...ALLOW, needsMore: true }
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

interface Question {
  readonly data: Uint8Array
  readonly isLast: boolean
  readonly answer: (verdict: Verdict) => void
}

/** Asks nobody: each question waits until the test answers it. */
class Script implements GateOwner {
  readonly asked: Question[] = []
  forwarded = 0
  events: string[] = []

  gateAsk(data: Uint8Array, _index: number, isLast: boolean): Promise<Verdict> {
    return new Promise((answer) => this.asked.push({ data, isLast, answer }))
  }

  gateForward(data: Uint8Array): boolean {
    this.forwarded += data.length
    return true
  }

  gateAllowed(): void {}
  gateDenied(): void {
    this.events.push('denied')
  }
  gateOverflowed(): void {
    this.events.push('overflowed')
  }
  gateSkipped(): void {
    this.events.push('skipped')
  }
  gateEnded(): void {
    this.events.push('ended')
  }
  gateHungry(): void {
    this.events.push('hungry')
  }
}

function fill(gate: BodyGate, limit = 100): number {
  for (let pushed = 1; pushed <= limit; pushed++) if (!gate.push(PIECE)) return pushed
  return limit
}

test('pieces are asked about ahead of the first verdict up to aheadBytes, then the source is stopped', async () => {
  const owner = new Script()
  const gate = new BodyGate(owner, { ...PLAN, aheadBytes: 128 * KIB }, undefined)
  const pushed = fill(gate)
  assert.equal(owner.asked.length, 3)
  assert.equal(pushed, 4, 'one piece waits, and no more is taken')
  owner.asked[0]!.answer(ALLOW)
  await turn()
  assert.equal(owner.forwarded, PIECE.length)
  assert.equal(owner.asked.length, 4)
  assert.deepEqual(owner.events, ['hungry'])
})

test('with aheadBytes 0 each piece waits for the verdict on the one before it', async () => {
  const owner = new Script()
  const gate = new BodyGate(owner, { ...PLAN, aheadBytes: 0 }, undefined)
  fill(gate)
  assert.equal(owner.asked.length, 1)
  owner.asked[0]!.answer(ALLOW)
  await turn()
  assert.equal(owner.asked.length, 2)
})

test('nothing is forwarded while the piece before it is undecided', async () => {
  const owner = new Script()
  const gate = new BodyGate(owner, PLAN, PIECE.length * 3)
  fill(gate, 3)
  owner.asked[1]!.answer(ALLOW)
  owner.asked[2]!.answer(ALLOW)
  await turn()
  assert.equal(owner.forwarded, 0)
  owner.asked[0]!.answer(ALLOW)
  await turn()
  assert.equal(owner.forwarded, PIECE.length * 3)
  assert.deepEqual(owner.events, ['ended'])
})

test('a refused piece is the end, whatever was said of the pieces behind it', async () => {
  const owner = new Script()
  const gate = new BodyGate(owner, PLAN, undefined)
  fill(gate, 4)
  for (const [at, verdict] of [ALLOW, BLOCK, ALLOW, ALLOW].entries()) owner.asked[at]!.answer(verdict)
  await turn()
  assert.equal(owner.forwarded, PIECE.length)
  assert.deepEqual(owner.events, ['denied'])
  gate.push(PIECE)
  gate.end()
  await turn()
  assert.equal(owner.asked.length, 4)
})

test('provisional allows hold back what was asked about ahead, too', async () => {
  const owner = new Script()
  const gate = new BodyGate(owner, PLAN, PIECE.length * 3)
  fill(gate, 3)
  owner.asked[0]!.answer(MORE)
  owner.asked[1]!.answer(MORE)
  await turn()
  assert.equal(owner.forwarded, 0)
  owner.asked[2]!.answer(MORE)
  await turn()
  assert.equal(owner.forwarded, PIECE.length * 3, 'on the last piece needsMore means nothing')
})

test('small pieces do not go ahead but gather, and the last one does', () => {
  const owner = new Script()
  const gate = new BodyGate(owner, PLAN, undefined)
  gate.push(PIECE)
  for (let n = 0; n < 10; n++) gate.push(Buffer.alloc(100))
  assert.equal(owner.asked.length, 1)
  gate.end()
  assert.equal(owner.asked.length, 2)
  assert.equal(owner.asked[1]!.data.length, 1000)
  assert.equal(owner.asked[1]!.isLast, true)
})

test('the piece that completes a declared length is the last, though the end was not told yet', () => {
  const owner = new Script()
  const gate = new BodyGate(owner, PLAN, PIECE.length * 2)
  fill(gate, 2)
  gate.end()
  assert.deepEqual(
    owner.asked.map(({ isLast }) => isLast),
    [false, true],
  )
})

test('a body over the limit is rejected only after the verdicts on what was asked about', async () => {
  const owner = new Script()
  const gate = new BodyGate(owner, { ...PLAN, maxBytes: PIECE.length * 2 }, undefined)
  fill(gate, 3)
  assert.deepEqual(owner.events, [])
  owner.asked[0]!.answer(ALLOW)
  owner.asked[1]!.answer(BLOCK)
  await turn()
  assert.deepEqual(owner.events, ['denied'])
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { FlowSignal } from '../../src/core/agent-messages.ts'
import { FlowGate } from '../../src/policy/flow-gate.ts'

function signal(action: FlowSignal['action'], correlationId?: string, bufferAvailable?: number): FlowSignal {
  return { action, correlationId, bufferAvailable, timestampMs: 0 }
}

describe('flow gate', () => {
  it('closes for every request when the connection is paused and opens on resume', () => {
    const gate = new FlowGate()
    assert.equal(gate.apply(signal('pause'), 5), 'closed')
    assert.equal(gate.apply(signal('pause'), 6), 'none')
    assert.equal(gate.isPaused, true)
    assert.equal(gate.isPausedFor('any', 6), true)
    assert.equal(gate.pausedForMs(15), 10)
    assert.equal(gate.apply(signal('resume'), 20), 'opened')
    assert.equal(gate.apply(signal('resume'), 21), 'none')
    assert.equal(gate.isPausedFor('any', 21), false)
    assert.equal(gate.pausedForMs(30), 0)
  })

  it('leaves other requests alone when one is paused', () => {
    const gate = new FlowGate()
    assert.equal(gate.apply(signal('pause', 'a'), 0), 'closed')
    assert.equal(gate.isPaused, false)
    assert.equal(gate.isPausedFor('a', 0), true)
    assert.equal(gate.isPausedFor('b', 0), false)
    assert.equal(gate.apply(signal('resume', 'b'), 0), 'none')
    assert.equal(gate.apply(signal('resume', 'a'), 0), 'opened')
    assert.equal(gate.isPausedFor('a', 0), false)
  })

  it('does not end a request pause by resuming the connection, nor the reverse', () => {
    const gate = new FlowGate()
    gate.apply(signal('pause', 'a'), 0)
    gate.apply(signal('pause'), 0)
    gate.apply(signal('resume', 'a'), 0)
    assert.equal(gate.isPausedFor('a', 0), true)
    gate.apply(signal('pause', 'b'), 0)
    gate.apply(signal('resume'), 0)
    assert.equal(gate.isPausedFor('a', 0), false)
    assert.equal(gate.isPausedFor('b', 0), true)
  })

  it('moves the window without ever resuming', () => {
    const gate = new FlowGate()
    assert.equal(gate.windowBytes, Number.POSITIVE_INFINITY)
    gate.apply(signal('pause'), 0)
    gate.apply(signal('pause', 'a'), 0)
    assert.equal(gate.apply(signal('update-capacity', undefined, 4096), 0), 'window')
    assert.equal(gate.apply(signal('update-capacity', 'a', 1 << 20), 0), 'none')
    assert.equal(gate.apply(signal('update-capacity', undefined, -1), 0), 'none')
    assert.equal(gate.windowBytes, 4096)
    assert.equal(gate.isPaused, true)
    gate.apply(signal('resume'), 0)
    assert.equal(gate.isPausedFor('a', 0), true)
  })

  it('lets a forgotten pause of one request lapse', () => {
    const gate = new FlowGate({ requestPauseTtlMs: 100 })
    gate.apply(signal('pause', 'a'), 0)
    gate.apply(signal('pause', 'a'), 50)
    assert.equal(gate.isPausedFor('a', 149), true)
    assert.equal(gate.isPausedFor('a', 150), false)
    assert.equal(gate.pausedRequests, 0)
  })

  it('forgets a request that ended', () => {
    const gate = new FlowGate()
    gate.apply(signal('pause', 'a'), 0)
    gate.forget('a')
    assert.equal(gate.isPausedFor('a', 0), false)
    assert.equal(gate.pausedRequests, 0)
  })

  it('cannot be grown by an agent that pauses endless or endlessly long ids', () => {
    const gate = new FlowGate({ maxPausedRequests: 50 })
    for (let count = 0; count < 10_000; count++) gate.apply(signal('pause', `id-${count}`), count / 100)
    assert.equal(gate.pausedRequests, 50)
    assert.equal(gate.isPausedFor('id-9999', 100), true)
    assert.equal(gate.apply(signal('pause', 'x'.repeat(10_000)), 0), 'none')
  })

  it('forgets the oldest pause first when there are too many', () => {
    const gate = new FlowGate({ maxPausedRequests: 2 })
    for (const id of ['a', 'b', 'a', 'c']) gate.apply(signal('pause', id), 0)
    assert.deepEqual(
      ['a', 'b', 'c'].map((id) => gate.isPausedFor(id, 0)),
      [true, false, true],
    )
  })

  it('agrees with a plain model on any sequence of signals', () => {
    const ids = fc.option(fc.constantFrom('a', 'b', 'c'), { nil: undefined })
    const step = fc.record({
      action: fc.constantFrom<FlowSignal['action']>('pause', 'resume', 'update-capacity'),
      id: ids,
      waitMs: fc.nat(60),
    })
    fc.assert(
      fc.property(fc.array(step), (history) => {
        const gate = new FlowGate({ requestPauseTtlMs: 100 })
        const until = new Map<string, number>()
        let isPaused = false
        let now = 0
        for (const { action, id, waitMs } of history) {
          now += waitMs
          gate.apply(signal(action, id, 1), now)
          if (id === undefined && action !== 'update-capacity') isPaused = action === 'pause'
          if (id !== undefined && action === 'pause') until.set(id, now + 100)
          if (id !== undefined && action === 'resume') until.delete(id)
          assert.equal(gate.isPaused, isPaused)
          for (const known of ['a', 'b', 'c']) {
            assert.equal(gate.isPausedFor(known, now), isPaused || now < (until.get(known) ?? 0))
          }
        }
      }),
    )
  })
})

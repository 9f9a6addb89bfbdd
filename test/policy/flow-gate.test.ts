import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { FlowSignal } from '../../src/core/agent-messages.ts'
import { FlowGate, UNCOUNTED } from '../../src/policy/flow-gate.ts'

function signal(action: FlowSignal['action'], correlationId?: string, bufferAvailable?: number): FlowSignal {
  return { action, correlationId, bufferAvailable, timestampMs: 0 }
}

function isHeld(gate: FlowGate, correlationId: string, now: number): boolean {
  return gate.holdsBody(correlationId, now) === 'paused'
}

describe('flow gate', () => {
  it('closes for every request when the connection is paused and opens on resume', () => {
    const gate = new FlowGate()
    assert.equal(gate.apply(signal('pause'), 5), 'closed')
    assert.equal(gate.apply(signal('pause'), 6), 'none')
    assert.equal(gate.isPaused, true)
    assert.equal(isHeld(gate, 'any', 6), true)
    assert.equal(gate.apply(signal('resume'), 20), 'opened')
    assert.equal(gate.apply(signal('resume'), 21), 'none')
    assert.equal(isHeld(gate, 'any', 21), false)
  })

  it('leaves other requests alone when one is paused', () => {
    const gate = new FlowGate()
    assert.equal(gate.apply(signal('pause', 'a'), 0), 'closed')
    assert.equal(gate.isPaused, false)
    assert.equal(isHeld(gate, 'a', 0), true)
    assert.equal(isHeld(gate, 'b', 0), false)
    assert.equal(gate.apply(signal('resume', 'b'), 0), 'none')
    assert.equal(gate.apply(signal('resume', 'a'), 0), 'opened')
    assert.equal(isHeld(gate, 'a', 0), false)
  })

  it('does not end a request pause by resuming the connection, nor the reverse', () => {
    const gate = new FlowGate()
    gate.apply(signal('pause', 'a'), 0)
    gate.apply(signal('pause'), 0)
    gate.apply(signal('resume', 'a'), 0)
    assert.equal(isHeld(gate, 'a', 0), true)
    gate.apply(signal('pause', 'b'), 0)
    gate.apply(signal('resume'), 0)
    assert.equal(isHeld(gate, 'a', 0), false)
    assert.equal(isHeld(gate, 'b', 0), true)
  })

  it('moves the window without ever resuming', () => {
    const gate = new FlowGate()
    assert.equal(gate.windowBytes, Number.POSITIVE_INFINITY)
    gate.apply(signal('pause'), 0)
    gate.apply(signal('pause', 'a'), 0)
    assert.equal(gate.apply(signal('update-capacity', undefined, 4096), 0), 'window')
    assert.equal(gate.apply(signal('update-capacity', 'a', 1 << 20), 0), 'window')
    assert.equal(gate.apply(signal('update-capacity', 'a', 1 << 20), 0), 'none')
    assert.equal(gate.apply(signal('update-capacity', 'a'), 0), 'none')
    assert.equal(gate.apply(signal('update-capacity', undefined, -1), 0), 'none')
    assert.equal(gate.windowBytes, 4096)
    assert.equal(gate.isPaused, true)
    gate.apply(signal('resume'), 0)
    assert.equal(isHeld(gate, 'a', 0), true)
  })

  it('holds bodies back while the window of the connection is used up, and lets them go as chunks settle', () => {
    const gate = new FlowGate()
    gate.sent('a', 600)
    gate.apply(signal('update-capacity', undefined, 1000), 0)
    assert.equal(gate.holdsBody('b', 0), undefined)
    gate.sent('b', 600)
    assert.equal(gate.bytesInFlight, 1200)
    assert.equal(gate.holdsBody('a', 0), 'full')
    assert.equal(gate.holdsBody('c', 0), 'full')
    gate.settled('a', 600, UNCOUNTED)
    assert.equal(gate.holdsBody('c', 0), undefined)
    gate.apply(signal('update-capacity', undefined, 500), 0)
    assert.equal(gate.holdsBody('c', 0), 'full')
    gate.apply(signal('update-capacity', undefined, 5000), 0)
    assert.equal(gate.holdsBody('c', 0), undefined)
  })

  it('lets chunks larger than the window pass one by one, and takes a window of 0 for a pause of bodies', () => {
    const gate = new FlowGate()
    gate.apply(signal('update-capacity', undefined, 10), 0)
    assert.equal(gate.holdsBody('a', 0), undefined)
    const chunk = gate.sent('a', 1000)
    assert.equal(gate.holdsBody('a', 0), 'full')
    gate.settled('a', 1000, chunk)
    assert.equal(gate.holdsBody('a', 0), undefined)
    gate.apply(signal('update-capacity', undefined, 0), 0)
    assert.equal(gate.isPaused, false)
    assert.equal(gate.holdsBody('a', 0), 'paused')
  })

  it('counts the bytes of one request against its own window, from when the agent first spoke of it', () => {
    const gate = new FlowGate({ requestTtlMs: 100 })
    const early = gate.sent('a', 1000)
    gate.apply(signal('update-capacity', 'a', 500), 0)
    assert.equal(gate.holdsBody('a', 0), undefined)
    const late = gate.sent('a', 500)
    assert.equal(gate.holdsBody('a', 0), 'full')
    gate.settled('a', 1000, early)
    assert.equal(gate.holdsBody('a', 0), 'full')
    assert.equal(gate.holdsBody('b', 0), undefined)
    gate.apply(signal('pause', 'a'), 50)
    gate.apply(signal('resume', 'a'), 50)
    assert.equal(gate.holdsBody('a', 50), 'full')
    assert.equal(gate.holdsBody('a', 150), undefined)
    gate.settled('a', 500, late)
    assert.equal(gate.bytesInFlight, 0)
  })

  it('lets a forgotten pause of one request lapse', () => {
    const gate = new FlowGate({ requestTtlMs: 100 })
    gate.apply(signal('pause', 'a'), 0)
    gate.apply(signal('pause', 'a'), 50)
    assert.equal(isHeld(gate, 'a', 149), true)
    assert.equal(isHeld(gate, 'a', 150), false)
    assert.equal(gate.requests, 0)
  })

  it('forgets a request that ended', () => {
    const gate = new FlowGate()
    gate.apply(signal('pause', 'a'), 0)
    gate.forget('a')
    assert.equal(isHeld(gate, 'a', 0), false)
    assert.equal(gate.requests, 0)
  })

  it('cannot be grown by an agent that pauses endless or endlessly long ids', () => {
    const gate = new FlowGate({ maxRequests: 50 })
    for (let count = 0; count < 10_000; count++) gate.apply(signal('pause', `id-${count}`), count / 100)
    assert.equal(gate.requests, 50)
    assert.equal(isHeld(gate, 'id-9999', 100), true)
    assert.equal(gate.apply(signal('pause', 'x'.repeat(10_000)), 0), 'none')
  })

  it('forgets the oldest pause first when there are too many', () => {
    const gate = new FlowGate({ maxRequests: 2 })
    for (const id of ['a', 'b', 'a', 'c']) gate.apply(signal('pause', id), 0)
    assert.deepEqual(
      ['a', 'b', 'c'].map((id) => isHeld(gate, id, 0)),
      [true, false, true],
    )
  })

  it('agrees with a plain model on any sequence of signals and chunks', () => {
    const ids = ['a', 'b', 'c'] as const
    const step = fc.record({
      action: fc.constantFrom<FlowSignal['action'] | 'send' | 'settle'>(
        'pause',
        'resume',
        'update-capacity',
        'send',
        'settle',
      ),
      id: fc.option(fc.constantFrom(...ids), { nil: undefined }),
      bytes: fc.nat(3),
      waitMs: fc.nat(60),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (history) => {
        const gate = new FlowGate({ requestTtlMs: 100 })
        const model = new PlainFlow()
        for (const { action, id, bytes, waitMs } of history) {
          model.now += waitMs
          if (action === 'send') {
            model.send({ id: id ?? 'a', bytes, serial: gate.sent(id ?? 'a', bytes) })
          } else if (action === 'settle') {
            const chunk = model.settle()
            if (chunk !== undefined) gate.settled(chunk.id, chunk.bytes, chunk.serial)
          } else {
            gate.apply(signal(action, id, bytes), model.now)
            model.hear(action, id, bytes)
          }
          assert.equal(gate.isPaused, model.isPaused)
          for (const known of ids)
            assert.equal(gate.holdsBody(known, model.now) !== undefined, model.holds(known))
        }
      }),
    )
  })
})

interface Chunk {
  readonly id: string
  readonly bytes: number
  /** The gate's word for what it is counted under. */
  readonly serial: number
}

interface Told {
  at: number
  isPaused: boolean
  window: number
}

/** The gate's rules in their plainest form; what was said of a request lapses after 100 ms. */
class PlainFlow {
  now = 0
  isPaused = false
  #window = Number.POSITIVE_INFINITY
  readonly #chunks: { readonly chunk: Chunk; readonly under: Told | undefined }[] = []
  readonly #told = new Map<string, Told>()

  send(chunk: Chunk): void {
    this.#chunks.push({ chunk, under: this.#told.get(chunk.id) })
  }

  settle(): Chunk | undefined {
    return this.#chunks.shift()?.chunk
  }

  hear(action: FlowSignal['action'], id: string | undefined, bytes: number): void {
    if (id === undefined) {
      if (action === 'update-capacity') this.#window = bytes
      else this.isPaused = action === 'pause'
      return
    }
    const known = this.#of(id)
    if (action === 'resume') {
      if (known?.isPaused === true && known.window === Number.POSITIVE_INFINITY) this.#told.delete(id)
      else if (known !== undefined) known.isPaused = false
      return
    }
    const flow = known ?? { at: 0, isPaused: false, window: Number.POSITIVE_INFINITY }
    flow.at = this.now
    if (action === 'pause') flow.isPaused = true
    else flow.window = bytes
    this.#told.set(id, flow)
  }

  holds(id: string): boolean {
    if (this.isPaused || this.#bytes(() => true) >= this.#window) return true
    const flow = this.#of(id)
    return flow !== undefined && (flow.isPaused || this.#bytes((under) => under === flow) >= flow.window)
  }

  #bytes(counts: (under: Told | undefined) => boolean): number {
    return this.#chunks.reduce((sum, { chunk, under }) => sum + (counts(under) ? chunk.bytes : 0), 0)
  }

  #of(id: string) {
    const flow = this.#told.get(id)
    return flow === undefined || this.now >= flow.at + 100 ? undefined : flow
  }
}

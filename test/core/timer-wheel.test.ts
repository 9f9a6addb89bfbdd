import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { NOT_ARMED, TimerWheel, type WheelNode } from '../../src/core/timer-wheel.ts'
import { FakeClock } from '../support/fake-clock.ts'

class Node implements WheelNode {
  wheelPrev: WheelNode | null = null
  wheelNext: WheelNode | null = null
  wheelSlot: number = NOT_ARMED
  deadlineAt = 0
  firedAt: number | undefined
  readonly #clock: FakeClock
  readonly #then: () => void

  constructor(clock: FakeClock, then: () => void = () => undefined) {
    this.#clock = clock
    this.#then = then
  }

  onDeadline(): void {
    assert.equal(this.firedAt, undefined, 'a deadline fires once')
    this.firedAt = this.#clock.now()
    this.#then()
  }
}

test('every armed deadline fires once, never early, at most two ticks late', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ delay: fc.integer({ min: -50, max: 9000 }), disarm: fc.boolean() }), {
        maxLength: 60,
      }),
      fc.integer({ min: 0, max: 5000 }),
      (plans, pause) => {
        const clock = new FakeClock(1003.7)
        const wheel = new TimerWheel(clock)
        const armed = plans.map((plan, index) => {
          if (index % 7 === 0) clock.advance(pause / 10)
          const node = new Node(clock)
          const at = clock.now() + plan.delay
          wheel.arm(node, at)
          return { node, at, armedAt: clock.now(), plan }
        })
        for (const { node, plan } of armed) if (plan.disarm) wheel.disarm(node)
        const fired = armed.filter(({ node }) => node.firedAt !== undefined).length
        const disarmed = armed.filter(({ node, plan }) => plan.disarm && node.firedAt === undefined).length
        assert.equal(wheel.size, plans.length - fired - disarmed)
        clock.advance(10_000)
        assert.equal(wheel.size, 0)
        for (const { node, at, armedAt, plan } of armed) {
          if (node.firedAt === undefined) {
            assert.ok(plan.disarm)
            continue
          }
          assert.ok(node.firedAt >= at, 'not early')
          assert.ok(node.firedAt <= Math.max(at, armedAt) + 8.001, `late by ${node.firedAt - at}`)
        }
        assert.equal(clock.timers, 0, 'an empty wheel holds no timer')
      },
    ),
    { numRuns: 300 },
  )
})

test('a deadline that disarms another of the same tick prevents it', () => {
  const clock = new FakeClock()
  const wheel = new TimerWheel(clock)
  const victim = new Node(clock)
  const killer = new Node(clock, () => wheel.disarm(victim))
  wheel.arm(victim, clock.now() + 10)
  wheel.arm(killer, clock.now() + 10)
  clock.advance(50)
  assert.notEqual(killer.firedAt, undefined)
  assert.equal(victim.firedAt, undefined)
})

test('a stall longer than a whole turn still fires everything', () => {
  const clock = new FakeClock()
  const wheel = new TimerWheel(clock)
  const nodes = [5, 600, 2100, 4300].map((delay) => {
    const node = new Node(clock)
    wheel.arm(node, clock.now() + delay)
    return node
  })
  clock.stall(20_000)
  clock.advance(10)
  assert.ok(nodes.every((node) => node.firedAt !== undefined))
})

test('a deadline that throws does not hold back the others', () => {
  const clock = new FakeClock()
  const errors: unknown[] = []
  const wheel = new TimerWheel(clock, (error) => errors.push(error))
  const thrower = new Node(clock, () => {
    throw new Error('boom')
  })
  const other = new Node(clock)
  wheel.arm(other, clock.now() + 8)
  wheel.arm(thrower, clock.now() + 8)
  clock.advance(30)
  assert.equal(errors.length, 1)
  assert.notEqual(other.firedAt, undefined)
})

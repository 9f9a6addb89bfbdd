import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Agenda } from '../../src/pool/agenda.ts'

test('whoever was written down is found at every instant from its own on, until taken, and never a second too early', () => {
  fc.assert(
    fc.property(
      fc.nat({ max: 50_000 }),
      fc.array(
        fc.oneof(
          fc.record({
            name: fc.constantFrom('a', 'b', 'c', 'd'),
            inMs: fc.integer({ min: -3000, max: 15_000 }),
          }),
          fc.record({ passMs: fc.integer({ min: 0, max: 4000 }) }),
        ),
        { maxLength: 60 },
      ),
      (start, steps) => {
        let now = start
        const agenda = new Agenda(now)
        const due = new Map<string, Set<number>>()
        for (const step of steps) {
          if ('name' in step) {
            agenda.add(step.name, now + step.inMs)
            due.set(step.name, (due.get(step.name) ?? new Set()).add(now + step.inMs))
            continue
          }
          now += step.passMs
          const found = agenda.take(now)
          for (const [name, instants] of due) {
            const isDue = [...instants].some((at) => at <= now)
            if (isDue) assert.ok(found.has(name), `${name} was due and is not found at ${now}`)
            const isNear = [...instants].some((at) => at < now + 1000)
            if (found.has(name))
              assert.ok(isNear, `${name} is found at ${now}, due at ${[...instants].join()}`)
            const later = [...instants].filter((at) => Math.floor(at / 1000) > Math.floor(now / 1000))
            due.set(name, new Set(later))
          }
        }
      },
    ),
    { numRuns: 500 },
  )
})

test('who needs no visit is never found, and who is wanted soon is found by the next who asks, once', () => {
  const agenda = new Agenda(1000)
  agenda.add('never', Number.POSITIVE_INFINITY)
  agenda.addSoon('waf')
  agenda.addSoon('waf')
  assert.deepEqual([...agenda.take(1000)], ['waf'])
  assert.deepEqual([...agenda.take(1e9)], [])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TimerWheel } from '../../src/core/timer-wheel.ts'
import { AgentDispatcher } from '../../src/proxy/agent-dispatcher.ts'
import type { AgentPolicy } from '../../src/proxy/agent-policy.ts'
import { AgentChain } from '../../src/proxy/chain.ts'
import { startedPool } from '../support/pool-fixture.ts'
import { headersEvent, policy } from './harness.ts'

/** A real pool of one connection that carries one event, and what became of each request and when, in order asked. */
async function asking(wishes: Partial<AgentPolicy>) {
  const fixture = await startedPool({ connections: 1, maxConcurrentPerConnection: 1 })
  const { clock, pool } = fixture
  const wheel = new TimerWheel(clock)
  const dispatcher = new AgentDispatcher({ clock, wheel, probe: {}, limits: undefined })
  const agent = policy('waf', { timeoutMs: 1000, events: new Set(['request-headers'] as const), ...wishes })
  const chain = new AgentChain('route', [{ policy: agent, pool }])
  const outcomes: (string | undefined)[] = []
  const ask = (): void => {
    const n = outcomes.push(undefined) - 1
    const scope = dispatcher.open(chain, { clientIp: '203.0.113.7' })
    void dispatcher.dispatch(headersEvent(scope), scope).then((verdict) => {
      outcomes[n] = `${verdict.error?.code ?? verdict.decision.kind} at ${clock.now() - startedAt}`
    })
  }
  const startedAt = clock.now()
  return { ...fixture, ask, outcomes }
}

test('who waits for room when the agent pauses is refused at once, as who comes then is', async () => {
  const { dialer, ask, outcomes, pass } = await asking({ onPause: 'closed' })
  for (let n = 0; n < 3; n++) ask()
  dialer.alive[0]!.flow('pause')
  ask()
  await pass(0)
  assert.deepEqual(outcomes, [undefined, 'PAUSED at 0', 'PAUSED at 0', 'PAUSED at 0'])
  dialer.alive[0]!.reply()
  await pass(0)
  assert.equal(outcomes[0], 'allow at 0')
})

test('who waits for room when the agent pauses and may wait for the resume is served by it', async () => {
  const { dialer, ask, outcomes, pass } = await asking({ onPause: 'wait', flowWaitMs: 100 })
  for (let n = 0; n < 2; n++) ask()
  dialer.alive[0]!.flow('pause')
  dialer.alive[0]!.reply()
  await pass(50)
  assert.equal(outcomes[1], undefined)
  dialer.alive[0]!.flow('resume')
  dialer.alive[0]!.reply()
  await pass(0)
  assert.equal(outcomes[1], 'allow at 50')
})

test('who waits for room when the agent pauses waits for the resume no longer than others do', async () => {
  const { dialer, ask, outcomes, pass } = await asking({ onPause: 'wait', flowWaitMs: 100 })
  for (let n = 0; n < 2; n++) ask()
  await pass(500)
  dialer.alive[0]!.flow('pause')
  await pass(90)
  assert.equal(outcomes[1], undefined)
  await pass(30)
  assert.match(outcomes[1] ?? '', /^PAUSED at 6/)
})

test('who waits for room when the last connection is lost is refused at once', async () => {
  const { dialer, ask, outcomes, pass } = await asking({})
  for (let n = 0; n < 2; n++) ask()
  dialer.answer = 'fail'
  dialer.alive[0]!.transitionTo('closed')
  await pass(0)
  assert.equal(outcomes[1], 'UNAVAILABLE at 0')
})

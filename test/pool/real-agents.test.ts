import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../src/core/clock.ts'
import { WeirError } from '../../src/core/errors.ts'
import { systemRandom } from '../../src/core/random.ts'
import { ConnectionPool } from '../../src/pool/connection-pool.ts'
import { makePool } from '../../src/pool/make-pool.ts'
import { type PoolOptions, poolSettings } from '../../src/pool/pool-options.ts'
import { Registry } from '../../src/pool/registry.ts'
import { dialIn } from '../../src/sdk/dial-in.ts'
import { listenReverse } from '../../src/transport/reverse/reverse-listener.ts'
import { udsDialer } from '../../src/transport/uds/uds-dialer.ts'
import { v1Dialer } from '../../src/transport/v1/v1-dialer.ts'
import { V1Agent } from '../conformance/support/v1-agent.ts'
import { ask, HANDSHAKE } from '../support/asking.ts'
import { eventually as within } from '../support/eventually.ts'
import { hints, NotingWaiter } from '../support/pool-fixture.ts'
import { type RunningProcess, startProcess } from '../support/running-process.ts'
import { requestHeaders } from '../support/sample-events.ts'
import { temporaryFolder } from '../support/temp-folder.ts'

const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), 'agent-program.js')
const around = { clock: systemClock, random: systemRandom, probe: {} }

/** Processes start and stop here, beside other tests. */
const eventually = (what: string, condition: () => boolean | Promise<boolean>): Promise<void> =>
  within(what, condition, 20_000)

/** Asks one event through the pool, as the pipeline does. */
async function asked(pool: ConnectionPool, id: string, uri = '/'): Promise<string> {
  const leased = pool.lease(hints({ correlationId: id }))
  if (typeof leased === 'string') return leased
  const startedAt = systemClock.now()
  try {
    const reply = await ask(leased.connection, requestHeaders(id, { uri }))
    leased.release('replied', systemClock.now() - startedAt)
    return reply.decision.kind
  } catch (error) {
    leased.release('lost', systemClock.now() - startedAt)
    return WeirError.from(error).code
  }
}

async function agentProcess(t: TestContext, path: string): Promise<RunningProcess> {
  rmSync(path, { force: true })
  const running = startProcess(t, [PROGRAM, path])
  await running.said(/ready/)
  return running
}

function poolFor(t: TestContext, path: string, options: PoolOptions = {}): ConnectionPool {
  const registry = new Registry(systemClock, (error) => {
    throw error
  })
  const pool = new ConnectionPool({
    agent: 'waf',
    settings: poolSettings({ connections: 4, reconnect: { initialMs: 20, maxMs: 200 }, ...options }),
    around,
    nextDialer: ({ config, version }) => udsDialer(path, { ...HANDSHAKE, config, configVersion: version }),
  })
  registry.add(pool)
  t.after(() => registry.drain(systemClock.now() + 500))
  return pool
}

test('a real agent that is killed loses what it had, and is back at full width when it is', async (t) => {
  const path = join(await temporaryFolder(t), 'a.sock')
  const first = await agentProcess(t, path)
  const pool = poolFor(t, path)
  await pool.whenReady
  await eventually('four connections', () => pool.snapshot().available === 4)
  const answers = await Promise.all(Array.from({ length: 200 }, (_, n) => asked(pool, `c-${n}`)))
  assert.ok(answers.every((answer) => answer === 'allow'))
  const hanging = Array.from({ length: 8 }, (_, n) => asked(pool, `h-${n}`, '/hang'))
  first.child.kill('SIGKILL')
  for (const answer of await Promise.all(hanging)) assert.equal(answer, 'CONNECTION_LOST')
  assert.equal(pool.snapshot().inFlight, 0)
  await agentProcess(t, path)
  await eventually('four connections again', () => pool.snapshot().available === 4)
  assert.equal(await asked(pool, 'after'), 'allow')
  assert.equal(pool.snapshot().active, 4)
})

test('a real agent that stops running is found by its heartbeats and taken back when it goes on', async (t) => {
  const path = join(await temporaryFolder(t), 'a.sock')
  const agent = await agentProcess(t, path)
  const pool = poolFor(t, path, { connections: 2, heartbeatMs: 1000 })
  await eventually('two connections', () => pool.snapshot().available === 2)
  agent.child.kill('SIGSTOP')
  await eventually('both are dropped', () => pool.snapshot().lost >= 2)
  agent.child.kill('SIGCONT')
  await eventually('an answer', async () => (await asked(pool, 'again')) === 'allow')
})

test('a drain over real sockets lets the agent answer before it hangs up', async (t) => {
  const path = join(await temporaryFolder(t), 'a.sock')
  await agentProcess(t, path)
  const pool = poolFor(t, path)
  await eventually('four connections', () => pool.snapshot().available === 4)
  const asking = Array.from({ length: 100 }, (_, n) => asked(pool, `c-${n}`))
  const drained = pool.drain(systemClock.now() + 5000)
  for (const answer of await Promise.all(asking)) assert.equal(answer, 'allow')
  await drained
  assert.equal(pool.snapshot().active, 0)
})

test('a real agent that dials in is served by the pool it is adopted by, again and again', async (t) => {
  const address = `unix:${join(await temporaryFolder(t), 'r.sock')}`
  const pool = new ConnectionPool({ agent: 'pii', settings: poolSettings({ connections: 2 }), around })
  pool.start()
  const listener = await listenReverse(address, {
    proxyId: 'weir',
    proxyVersion: '0',
    admit: () =>
      pool.canAdopt() === undefined ? { isAdmitted: true, connectionId: 'c' } : { isAdmitted: false },
    onConnection: (connection) => assert.equal(pool.adopt(connection), undefined),
  })
  t.after(() => listener.close())
  for (let round = 0; round < 6; round++) {
    const agent = dialIn(address, { name: 'pii' }, { connections: 2, backoff: { initialMs: 10, maxMs: 50 } })
    await eventually('two connections', () => pool.snapshot().available === 2)
    assert.equal(await asked(pool, `c-${round}`), 'allow')
    await agent.close()
    await eventually('none', () => pool.snapshot().active === 0)
  }
  await pool.drain(systemClock.now() + 500)
})

test('a real legacy agent is asked one event at a time on each of its connections', async (t) => {
  const agent = await new V1Agent().listen(t)
  const answerAtOnce = agent.answer
  const busy = new Set<unknown>()
  agent.answer = (message, socket) => {
    assert.equal(busy.has(socket), false, 'asked before it had answered')
    busy.add(socket)
    setImmediate(() => {
      busy.delete(socket)
      answerAtOnce(message, socket)
    })
  }
  const pool = makePool({
    agent: 'old',
    isExclusive: true,
    settings: poolSettings({ connections: 3 }),
    around,
    nextDialer: () => v1Dialer(agent.path, HANDSHAKE, { agentId: 'old' }),
  })
  pool.start()
  await pool.whenReady
  const answers = Array.from({ length: 60 }, (_, n) => {
    const id = `c-${n}`
    return new Promise<string>((resolve, reject) => {
      const waiter = new NotingWaiter({ correlationId: id }, ({ leased, refused }) => {
        if (leased === undefined) return reject(refused)
        ask(leased.connection, requestHeaders(id)).then((reply) => {
          leased.release('replied', 1)
          resolve(reply.decision.kind)
        }, reject)
      })
      assert.equal(pool.lease(waiter), 'full')
      assert.equal(pool.wait(waiter), undefined)
    })
  })
  for (const answer of await Promise.all(answers)) assert.equal(answer, 'allow')
  assert.equal(agent.messages.length, 60)
  assert.equal(pool.snapshot().inFlight, 0)
  await pool.drain(systemClock.now() + 500)
})

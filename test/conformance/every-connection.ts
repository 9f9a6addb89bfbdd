import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CorrelationIds } from '../../src/core/correlation-id.ts'
import { WeirError } from '../../src/core/errors.ts'
import { plainAllow, reply } from '../../src/core/reply.ts'
import { eventually } from '../support/eventually.ts'
import { Asked, ask, failureOf, Observed, soon } from './support/observed.ts'
import { ASKED_KINDS, eventOf, requestHeaders } from './support/sample-events.ts'
import { ScriptedAgent } from './support/scripted-agent.ts'
import type { TransportCase } from './support/transports.ts'

/** What holds for a connection of any transport that carries several events at once. */
export function everyConnection(of: TransportCase): void {
  describe(`over ${of.name}`, () => {
    test('an agent sees every kind of event as it was sent, and its reply comes back', async (t) => {
      const agent = new ScriptedAgent()
      const connection = await (await of.rig(t, agent)).connect()
      const ids = new CorrelationIds()
      for (const kind of ASKED_KINDS) {
        const event = eventOf(kind, ids.next())
        const answer = await soon(kind, ask(connection, event).outcome)
        assert.equal(answer.correlationId, event.correlationId)
        assert.equal(answer.decision.kind, 'allow')
        const seen = agent.events.pop()!
        assert.equal(seen.kind, kind)
        assert.equal(seen.correlationId, event.correlationId)
        if (event.kind === 'request-headers' && seen.kind === 'request-headers') {
          assert.equal(seen.uri, event.uri)
          assert.deepEqual([...seen.headers].sort(), [...event.headers].sort())
        }
        if ('data' in event && 'data' in seen) assert.deepEqual([...seen.data], [...event.data])
      }
      assert.equal(connection.pendingCount, 0)
      await connection.close()
    })

    test('the connection knows what the agent says of itself', async (t) => {
      const agent = new ScriptedAgent()
      const connection = await (await of.rig(t, agent)).connect()
      assert.equal(connection.transport, of.transport)
      assert.equal(connection.capabilities.agentId, 'waf')
      assert.equal(connection.capabilities.features.concurrentRequests, 64)
      assert.equal(agent.links[0]?.proxyId, 'weir')
      assert.equal(connection.isExclusive, false)
      await connection.close()
    })

    test('each decision arrives whole', async (t) => {
      const agent = new ScriptedAgent()
      const connection = await (await of.rig(t, agent)).connect()
      const decisions = [
        { kind: 'block', status: 403, body: 'no', headers: ['x-why', 'rule 7'] },
        { kind: 'redirect', url: 'https://login.example/', status: 302 },
        { kind: 'challenge', challengeType: 'basic', params: { realm: 'shop' } },
      ] as const
      for (const decision of decisions) {
        agent.answer = (event, link) => link.reply(reply(event.correlationId, decision))
        const answer = await soon(decision.kind, ask(connection, requestHeaders('c-1')).outcome)
        assert.deepEqual({ ...answer.decision }, decision)
      }
      await connection.close()
    })

    test('replies find their events whatever the order across ids', async (t) => {
      const agent = new ScriptedAgent()
      const connection = await (await of.rig(t, agent)).connect()
      const ids = new CorrelationIds()
      const events = Array.from({ length: 300 }, () => requestHeaders(ids.next()))
      agent.answer = (_event, link) => {
        if (agent.events.length < events.length) return
        for (const event of agent.events.toReversed())
          link.reply(reply(event.correlationId, { kind: 'block', status: 403, body: event.correlationId }))
      }
      const all = events.map((event) => ask(connection, event).outcome)
      assert.equal(connection.pendingCount, 300)
      for (const [index, answer] of (await soon('300 replies', Promise.all(all))).entries()) {
        assert.equal(answer.decision.kind, 'block')
        assert.equal(answer.decision.kind === 'block' && answer.decision.body, events[index]!.correlationId)
      }
      await connection.close()
    })

    test('several events of one id are answered in the order in which they were sent', async (t) => {
      const agent = new ScriptedAgent()
      const connection = await (await of.rig(t, agent)).connect()
      let count = 0
      agent.answer = (event, link) =>
        link.reply(reply(event.correlationId, { kind: 'block', status: 400 + count++ }))
      const kinds = ['request-headers', 'request-body-chunk', 'response-headers'] as const
      const id = new CorrelationIds().next()
      const all = kinds.map((kind) => ask(connection, eventOf(kind, id)).outcome)
      const statuses = (await soon('three replies', Promise.all(all))).map(
        ({ decision }) => decision.kind === 'block' && decision.status,
      )
      assert.deepEqual(statuses, [400, 401, 402])
      await connection.close()
    })

    test('a ping is answered while the agent is busy', async (t) => {
      const agent = new ScriptedAgent()
      agent.answer = () => {}
      const connection = await (await of.rig(t, agent)).connect()
      const busy = ask(connection, requestHeaders('c-1'))
      assert.ok((await connection.ping(5000)) >= 0)
      assert.equal(busy.settled, 0)
      await connection.close()
    })

    test('a cancel reaches the agent with its reason', async (t) => {
      const agent = new ScriptedAgent()
      agent.answer = () => {}
      const connection = await (await of.rig(t, agent)).connect()
      ask(connection, requestHeaders('c-1'))
      connection.cancel('c-1', 'blocked-by-agent')
      await eventually('the cancel arrives', () => agent.cancels.length > 0)
      assert.deepEqual(agent.cancels, ['c-1 blocked-by-agent'])
      await connection.close()
    })

    test('what an agent reports reaches the observer', async (t) => {
      const agent = new ScriptedAgent()
      const connection = await (await of.rig(t, agent)).connect()
      const observed = new Observed()
      connection.observe(observed)
      const link = agent.links[0]!
      link.sendHealth({ agentId: 'waf', state: 'degraded', timeoutMultiplier: 2, timestampMs: 5 })
      link.sendFlow({ action: 'pause', timestampMs: 6 })
      link.sendFlow({ action: 'resume', correlationId: 'c-9', timestampMs: 7 })
      link.sendMetrics({
        agentId: 'waf',
        timestampMs: 8,
        intervalMs: 1000,
        counters: [{ name: 'seen_total', labels: { a: 'b' }, value: 3 }],
        gauges: [],
        histograms: [],
      })
      link.sendConfigUpdate({ requestId: 'u-1', timestampMs: 9, update: { type: 'request-reload' } })
      link.sendLog({ level: 'warn', message: 'rules are old', fields: {}, timestampMs: 10 })
      link.sendHealth({ agentId: 'waf', state: 'healthy', timestampMs: 11 })
      await eventually('the last report arrives', () => observed.health.length === 2)
      assert.equal(observed.health[0]?.state, 'degraded')
      assert.deepEqual(
        observed.flow.map(({ action, correlationId }) => [action, correlationId]),
        [
          ['pause', undefined],
          ['resume', 'c-9'],
        ],
      )
      assert.equal(observed.metrics[0]?.counters[0]?.value, 3)
      assert.equal(observed.updates[0]?.update.type, 'request-reload')
      assert.equal(observed.logs.length, of.isGrpc ? 1 : 0)
      await connection.close()
    })

    test('what an agent says before there is an observer is kept for it', async (t) => {
      const agent = new ScriptedAgent()
      const connection = await (await of.rig(t, agent)).connect()
      agent.links[0]!.sendFlow({ action: 'pause', timestampMs: 1 })
      await connection.ping(5000)
      const observed = new Observed()
      connection.observe(observed)
      assert.equal(observed.flow[0]?.action, 'pause')
      await connection.close()
    })

    test('late, duplicate and invented replies are strays and harm nobody', async (t) => {
      const agent = new ScriptedAgent()
      agent.answer = (event, link) => {
        link.reply(plainAllow('nobody-asked'))
        link.reply(plainAllow(event.correlationId))
        link.reply(plainAllow(event.correlationId))
      }
      const connection = await (await of.rig(t, agent)).connect()
      const observed = new Observed()
      connection.observe(observed)
      const asked = ask(connection, requestHeaders('c-1'))
      await soon('the reply', asked.outcome)
      await connection.ping(5000)
      assert.deepEqual(observed.strays, ['nobody-asked', 'c-1'])
      assert.equal(asked.settled, 1)
      assert.equal(connection.isClosed, false)
      await connection.close()
    })

    test('the late reply of an abandoned event is never given to another one', async (t) => {
      const agent = new ScriptedAgent()
      agent.answer = () => {}
      const connection = await (await of.rig(t, agent)).connect()
      const observed = new Observed()
      connection.observe(observed)
      const id = new CorrelationIds().next()
      const abandoned = ask(connection, requestHeaders(id))
      const younger = ask(connection, eventOf('request-body-chunk', id))
      await eventually('both arrive', () => agent.events.length === 2)
      assert.equal(connection.abandon(abandoned), true)
      assert.equal(connection.abandon(abandoned), false)
      agent.links[0]!.reply(reply(id, { kind: 'block', status: 401 }))
      agent.links[0]!.reply(reply(id, { kind: 'block', status: 402 }))
      const { decision } = await soon('the younger reply', younger.outcome)
      assert.equal(decision.kind === 'block' && decision.status, 402)
      assert.equal(abandoned.settled, 0)
      assert.deepEqual(observed.strays, [id])
      await connection.close()
    })

    test('a configuration is acknowledged only once it is applied', async (t) => {
      const agent = new ScriptedAgent()
      const connection = await (await of.rig(t, agent)).connect()
      let apply: () => void = () => {}
      agent.applyConfiguration = () => new Promise((resolve) => (apply = resolve))
      let isAcknowledged = false
      const configured = connection.configure({ level: 2 }, 'v7', 5000).then(() => (isAcknowledged = true))
      const behind = ask(connection, requestHeaders('c-1'))
      await eventually('the agent has it', () => agent.configurations.length === 1)
      assert.equal(isAcknowledged, false)
      assert.equal(behind.settled, 0)
      assert.equal(agent.events.length, 0)
      apply()
      await soon('the acknowledgement', configured)
      await soon('the event behind it', behind.outcome)
      assert.deepEqual(agent.configurations[0]?.config, { level: 2 })
      await connection.close()
    })

    test('a refused configuration says why', async (t) => {
      const agent = new ScriptedAgent()
      const connection = await (await of.rig(t, agent)).connect()
      agent.applyConfiguration = () => Promise.reject(new Error('level must be 1 to 4'))
      const error = await failureOf(() => connection.configure({ level: 9 }, undefined, 5000))
      assert.equal(error.code, 'PERMISSION_DENIED')
      assert.match(error.message, /level must be 1 to 4/)
      await connection.close()
    })

    test('a configuration refused at run time costs no event, and the next one is judged by itself', async (t) => {
      const agent = new ScriptedAgent()
      agent.answer = () => {}
      agent.applyConfiguration = async (config) => {
        if (config === 'bad') throw new Error('unknown rule')
      }
      const connection = await (await of.rig(t, agent)).connect()
      const observed = new Observed()
      connection.observe(observed)
      const asked = ask(connection, requestHeaders('c-1'))
      await eventually('it arrives', () => agent.events.length === 1)
      const refused = failureOf(() => connection.configure('bad', 'v2', 5000))
      const applied = connection.configure('good', 'v3', 5000)
      const behind = ask(connection, requestHeaders('c-2'))
      const error = await soon('the refusal', refused)
      assert.equal(error.code, 'PERMISSION_DENIED')
      assert.match(error.message, /unknown rule/)
      await soon('the acknowledgement', applied)
      await eventually('the event behind them arrives', () => agent.events.length === 2)
      for (const { correlationId } of agent.events) agent.links[0]!.reply(plainAllow(correlationId))
      await soon('the replies', Promise.all([asked.outcome, behind.outcome]))
      assert.equal(connection.isClosed, false)
      assert.deepEqual(observed.updates, [])
      await connection.close()
    })

    test('a configuration that is never acknowledged times out', async (t) => {
      const agent = new ScriptedAgent()
      const connection = await (await of.rig(t, agent)).connect()
      agent.applyConfiguration = () => new Promise(() => {})
      const error = await failureOf(() => connection.configure({}, undefined, 50))
      assert.equal(error.code, 'TIMEOUT')
      await connection.close()
    })

    if (of.configuresAtConnect) {
      test('no event is possible before the configuration of the connection is applied', async (t) => {
        const agent = new ScriptedAgent()
        const connection = await (await of.rig(t, agent)).connect({ config: { rules: [1, 2] } })
        assert.deepEqual(agent.configurations, [{ config: { rules: [1, 2] }, isInitial: true }])
        await soon('a reply', ask(connection, requestHeaders('c-1')).outcome)
        await connection.close()
      })

      test('an agent that refuses its configuration is not connected', async (t) => {
        const agent = new ScriptedAgent()
        agent.applyConfiguration = () => Promise.reject(new Error('unknown rule'))
        const rig = await of.rig(t, agent)
        const error = await failureOf(() => rig.connect({ config: { rules: ['?'] } }))
        assert.equal(error.code, 'PERMISSION_DENIED')
        assert.match(error.message, /unknown rule/)
        await eventually('the link is gone', () => agent.closed.length === 1)
      })

      test('an agent that never acknowledges its configuration is not connected', async (t) => {
        const agent = new ScriptedAgent()
        agent.applyConfiguration = () => new Promise(() => {})
        const rig = await of.rig(t, agent)
        const error = await failureOf(() => rig.connect({ config: {}, configTimeoutMs: 50 }))
        assert.equal(error.code, 'TIMEOUT')
        await eventually('the link is gone', () => agent.closed.length === 1)
      })

      test('dialing can be called off while the configuration is applied', async (t) => {
        const agent = new ScriptedAgent()
        const caller = new AbortController()
        agent.applyConfiguration = () => {
          caller.abort()
          return new Promise(() => {})
        }
        const rig = await of.rig(t, agent)
        const error = await failureOf(() => rig.connect({ config: {} }, caller.signal))
        assert.equal(error.code, 'CANCELLED')
        await eventually('the link is gone', () => agent.closed.length === 1)
      })
    }

    test('when the agent ends, everybody who waits is told at once and once', async (t) => {
      const agent = new ScriptedAgent()
      agent.answer = () => {}
      const connection = await (await of.rig(t, agent)).connect()
      const observed = new Observed()
      connection.observe(observed)
      const waiting = Array.from({ length: 40 }, (_, index) =>
        ask(connection, requestHeaders(`c-${index % 7}`)),
      )
      const ping = failureOf(() => connection.configure({}, undefined, 5000))
      agent.applyConfiguration = () => new Promise(() => {})
      await eventually('the events arrive', () => agent.events.length === 40)
      void agent.links[0]!.close()
      for (const asked of waiting) {
        const error = await failureOf(() => soon('the loss', asked.outcome))
        assert.equal(error.code, 'CONNECTION_LOST')
        assert.equal(error.sent, true)
      }
      await ping
      assert.equal(connection.isClosed, true)
      assert.equal(connection.isWritable, false)
      assert.equal(connection.pendingCount, 0)
      assert.equal(observed.closed.length, 1)
      await soon('the end', connection.close())
      assert.deepEqual(new Set(waiting.map(({ settled }) => settled)), new Set([1]))
      assert.equal(observed.closed.length, 1)
    })

    test('when the agent is cut off, everybody who waits is told', async (t) => {
      const agent = new ScriptedAgent()
      agent.answer = () => {}
      const connection = await (await of.rig(t, agent)).connect()
      const asked = ask(connection, requestHeaders('c-1'))
      await eventually('the event arrives', () => agent.events.length === 1)
      agent.links[0]!.destroy(new WeirError('INTERNAL', 'cut'))
      assert.equal((await failureOf(() => soon('the loss', asked.outcome))).code, 'CONNECTION_LOST')
      await soon('the end', connection.close())
    })

    test('nothing is sent on a closed connection, and the error says so', async (t) => {
      const agent = new ScriptedAgent()
      const connection = await (await of.rig(t, agent)).connect()
      await connection.close()
      const error = await failureOf(() => connection.send(requestHeaders('c-1'), new Asked('c-1')))
      assert.equal(error.code, 'CONNECTION_LOST')
      assert.equal(error.sent, false)
      assert.equal((await failureOf(() => connection.ping(1000))).code, 'CONNECTION_LOST')
      connection.cancel('c-1', 'timeout')
    })

    test('closing flushes, is told to the agent, and may be repeated', async (t) => {
      const agent = new ScriptedAgent()
      agent.answer = () => {}
      const connection = await (await of.rig(t, agent)).connect()
      const observed = new Observed()
      connection.observe(observed)
      const asked = ask(connection, requestHeaders('c-1'))
      const first = connection.close()
      const second = connection.close()
      connection.destroy(new WeirError('CANCELLED', 'enough'))
      await soon('both ends', Promise.all([first, second]))
      assert.equal((await failureOf(() => asked.outcome)).code, 'CONNECTION_LOST')
      assert.equal(observed.closed.length, 1)
      await eventually('the agent knows', () => agent.closed.length === 1)
    })

    test('a graceful close delivers what was sent in the same tick', async (t) => {
      const agent = new ScriptedAgent()
      agent.answer = () => {}
      const connection = await (await of.rig(t, agent)).connect()
      ask(connection, requestHeaders('c-1'))
      await connection.close()
      await eventually('the event arrived', () => agent.events.length === 1)
      await eventually('the agent knows', () => agent.closed.length === 1)
    })

    test('an event that is too large fails alone', async (t) => {
      const agent = new ScriptedAgent()
      const connection = await (await of.rig(t, agent)).connect()
      const event = eventOf('request-body-chunk', 'c-1')
      const huge = { ...event, data: Buffer.alloc(17 * 1024 * 1024) }
      const error = await failureOf(() => ask(connection, huge as typeof event))
      assert.equal(error.code, 'TOO_LARGE')
      assert.equal(error.sent, false)
      assert.equal(connection.pendingCount, 0)
      await soon('a reply', ask(connection, requestHeaders('c-1')).outcome)
      await connection.close()
    })

    test('megabytes go through in both directions', async (t) => {
      const agent = new ScriptedAgent()
      const text = 'x'.repeat(2_000_000)
      agent.answer = (event, link) =>
        link.reply(reply(event.correlationId, { kind: 'block', status: 403, body: text }))
      const connection = await (await of.rig(t, agent)).connect()
      const event = { ...eventOf('request-body-chunk', 'c-1'), data: Buffer.alloc(2_000_000, 7) }
      const all = Array.from(
        { length: 4 },
        () => ask(connection, event as ReturnType<typeof eventOf>).outcome,
      )
      for (const { decision } of await soon('the replies', Promise.all(all), 15_000))
        assert.equal(decision.kind === 'block' && decision.body?.length, text.length)
      await connection.close()
    })

    test('several connections of one agent live and die on their own', async (t) => {
      const agent = new ScriptedAgent()
      const rig = await of.rig(t, agent)
      const [first, second] = [await rig.connect(), await rig.connect()]
      assert.notEqual(first.id, second.id)
      await first.close()
      await soon('a reply', ask(second, requestHeaders('c-1')).outcome)
      await second.close()
    })

    test('closing the listener ends its links', async (t) => {
      const agent = new ScriptedAgent()
      const rig = await of.rig(t, agent)
      const connection = await rig.connect()
      await soon('the listener closes', rig.close())
      await eventually('the connection is closed', () => connection.isClosed)
      await soon('the end', connection.close())
    })
  })
}

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { AgentView } from '../../src/admin/views.ts'
import { serveUds } from '../../src/sdk/serve.ts'
import { commandsOf } from '../cli/support.ts'
import { eventually } from '../support/eventually.ts'
import { type HttpAnswer, httpCall } from '../support/http-call.ts'
import { type Daemon, Place } from './harness.ts'

const MIB = 1024 * 1024

interface Stage {
  readonly place: Place
  readonly daemon: Daemon
  /** Bytes of request bodies that the agent got. */
  readonly seen: () => number
}

/** A daemon with one agent that reads request bodies and announces `maxBodySize`. */
async function stage(
  t: TestContext,
  maxBodySize: number | undefined,
  body: string,
  healthIntervalMs = 0,
): Promise<Stage> {
  const place = await Place.make(t)
  let bytes = 0
  const agent = await serveUds(
    place.socket('waf'),
    {
      name: 'waf',
      onRequestBody: ({ data }) => {
        bytes += data.length
        return undefined
      },
    },
    { maxBodySize, healthIntervalMs },
  )
  t.after(() => agent.close())
  await place.configure(
    `{ waf: { endpoint: "unix:./waf.sock", events: [request-body], body: ${body} } }`,
    'waf',
  )
  const daemon = await place.serve('--wait-for-agents', '5000')
  await daemon.untilReady()
  return { place, daemon, seen: () => bytes }
}

function post({ daemon }: Stage, bytes: number): Promise<HttpAnswer> {
  return httpCall({ port: daemon.port, path: '/', method: 'POST', body: 'x'.repeat(bytes) })
}

test('an agent gets no more of a body than it announced: a larger one is refused', async (t) => {
  const on = await stage(t, 1000, '{ maxBytes: 5000 }')
  assert.equal((await post(on, 1000)).status, 200)
  assert.equal(on.seen(), 1000)
  const refused = await post(on, 1001)
  assert.equal(refused.status, 413)
  assert.match(refused.text, /1000/)
  assert.equal(on.seen(), 1000, 'nothing of it was shown to the agent')
})

test('with onTooLarge: skip the rest of a body beyond what the agent announced passes unseen, and is counted', async (t) => {
  const on = await stage(t, 1000, '{ onTooLarge: skip }')
  const answer = await post(on, 3000)
  assert.deepEqual([answer.status, answer.text], [200, 'upstream'])
  assert.equal(on.seen(), 1000)
  assert.match(String(answer.headers['x-weir-bypass']), /waf/)
  const [agent] = JSON.parse((await on.daemon.admin('/v1/agents')).text) as AgentView[]
  assert.deepEqual(agent?.bypasses, { 'too-large': 1 })
})

test('the configured limit holds where it is the smaller one', async (t) => {
  const on = await stage(t, 5000, '{ maxBytes: 1000 }')
  assert.equal((await post(on, 1001)).status, 413)
})

test('the default of the protocol is no statement: what is configured above it holds', async (t) => {
  const on = await stage(t, undefined, `{ maxBytes: ${12 * MIB} }`)
  assert.equal((await post(on, 11 * MIB)).status, 200)
  assert.equal(on.seen(), 11 * MIB)
})

test('operators see what an agent announces and what it reports of its load', async (t) => {
  const on = await stage(t, 1000, '{}', 50)
  await post(on, 10)
  await eventually('a report came after the event', async () => {
    const [agent] = JSON.parse((await on.daemon.admin('/v1/agents')).text) as AgentView[]
    return agent?.reported?.load?.requestsProcessed === 1
  })
  const { text } = await commandsOf(on.place)('agents', 'waf')
  assert.match(
    text,
    /^announces +bodies of 1000 bytes at most; pieces of 65536 bytes and 5000 ms per event \(not applied\)$/m,
  )
  assert.match(
    text,
    /^reports +0 in flight, 0 queued, .*; 1 processed, 0 rejected, 0 timed out \(\d+ ms ago\)$/m,
  )
})

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { serveUds } from '../../src/sdk/serve.ts'
import { eventually } from '../support/eventually.ts'
import { temporaryFolder } from '../support/temp-folder.ts'
import { frame, RawClient } from '../transport/support/raw-peer.ts'

const HELLO = frame(0x01, {
  supported_versions: [2],
  proxy_id: 'zentinel-proxy',
  proxy_version: '0.6.54',
  config: null,
})

function decisionOf(client: RawClient, index: number): string {
  return JSON.stringify(client.json(index)['decision'])
}

test('a configuration that cannot be read is refused, not taken for applied, and the next one counts', async (t) => {
  const applied: unknown[] = []
  const path = join(await temporaryFolder(t), 'a.sock')
  const agent = { name: 'waf', onConfigure: (config: unknown) => void applied.push(config) }
  const running = await serveUds(path, agent, { probe: {} })
  t.after(() => running.close({ timeoutMs: 0 }))
  const client = new RawClient(t, path)
  const broken = frame(0x17, Buffer.from('{"correlation_id":"k-0","config":{"rules":'))
  client.socket.write(Buffer.concat([HELLO, broken, frame(0x17, { correlation_id: 'k-1', config: [7] })]))
  await eventually('both are answered', () => client.frames.length === 3)
  assert.match(decisionOf(client, 1), /"block"/)
  assert.match(JSON.stringify(client.json(1)['audit']), /"correlation_id":"k-0"/)
  assert.equal(decisionOf(client, 2), '"allow"')
  assert.deepEqual(applied, [[7]])
})

test('events of requests whose headers never came reach their handlers all the same', async (t) => {
  const seen: string[] = []
  const path = join(await temporaryFolder(t), 'a.sock')
  const running = await serveUds(
    path,
    {
      name: 'waf',
      onRequestHeaders: () => void seen.push('request headers'),
      onRequestBody: (chunk) => void seen.push(`request body ${Buffer.from(chunk.data).toString()}`),
      onResponseHeaders: (event) => void seen.push(`response headers ${event.status}`),
      onResponseBody: (chunk) => void seen.push(`response body ${Buffer.from(chunk.data).toString()}`),
    },
    { probe: {} },
  )
  t.after(() => running.close({ timeoutMs: 0 }))
  const client = new RawClient(t, path)
  const chunk = { data: Buffer.from('attack').toString('base64'), is_last: true, chunk_index: 0 }
  client.socket.write(
    Buffer.concat([
      HELLO,
      frame(0x11, { correlation_id: 'a', bytes_received: 6, ...chunk }),
      frame(0x12, { correlation_id: 'b', status: 200, headers: {} }),
      frame(0x13, { correlation_id: 'c', bytes_sent: 6, ...chunk }),
    ]),
  )
  await eventually('all are answered', () => client.frames.length === 4)
  assert.deepEqual(seen, ['request body attack', 'response headers 200', 'response body attack'])
})

test('an event with a body that is not whole base64 is blocked, not handed on as an empty body', async (t) => {
  let asked = 0
  const path = join(await temporaryFolder(t), 'a.sock')
  const running = await serveUds(path, { name: 'waf', onRequestBody: () => void asked++ }, { probe: {} })
  t.after(() => running.close({ timeoutMs: 0 }))
  const client = new RawClient(t, path)
  const broken = { correlation_id: 'a', data: '*not base64*', is_last: true, chunk_index: 0 }
  client.socket.write(Buffer.concat([HELLO, frame(0x11, broken)]))
  await eventually('it is answered', () => client.frames.length === 2)
  assert.match(decisionOf(client, 1), /"block"/)
  assert.equal(asked, 0)
})

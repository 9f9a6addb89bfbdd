import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { CAPABILITIES, frame, RawClient } from '../transport/support/raw-peer.ts'
import { Place } from './harness.ts'

function register(agentId: string, token: string | null): Buffer {
  return frame(0x01, {
    protocol_version: 2,
    agent_id: agentId,
    capabilities: CAPABILITIES,
    auth_token: token,
    metadata: null,
  })
}

test('who has no token learns neither which ids exist nor what they are configured with', async (t) => {
  const place = await Place.make(t)
  const hash = createHash('sha256').update('right').digest('hex')
  await place.agent('waf')
  await place.configure(
    `{ waf: { endpoint: "unix:./waf.sock" }, pii: { reverse: { tokenSha256: ${hash} }, config: { key: s3cr3t } } }`,
    'waf, pii',
  )
  const daemon = await place.serve()
  const ask = async (agentId: string, token: string | null): Promise<Buffer> => {
    const client = new RawClient(t, place.socket('agents'))
    client.socket.write(register(agentId, token))
    await eventually('it is hung up on', () => client.isEnded)
    return client.received
  }
  const refusals = [
    await ask('nobody', 'right'),
    await ask('nobody', null),
    await ask('pii', 'wrong'),
    await ask('pii', null),
    await ask('pii', ''),
    await ask('waf', 'right'),
  ]
  for (const bytes of refusals) {
    assert.deepEqual(bytes, refusals[0], 'every refusal is the same, byte for byte')
    assert.doesNotMatch(bytes.toString(), /nobody|pii|waf|s3cr3t/)
  }
  const admitted = new RawClient(t, place.socket('agents'))
  admitted.socket.write(register('pii', 'right'))
  await eventually('the one with the token is configured', () => admitted.frames.length === 2)
  assert.equal(admitted.json(0)['success'], true)
  assert.deepEqual(admitted.json(1)['config'], { key: 's3cr3t' })
  assert.match(daemon.process.output(), /unknown id/)
})

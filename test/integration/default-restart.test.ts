import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { type TestContext, test } from 'node:test'
import { type Daemon, Place } from '../daemon/harness.ts'
import { eventually } from '../support/eventually.ts'
import { AgentProcess } from './agent-process.ts'

/** What the defaults promise: an agent that is back is used again within this, however long it was away. */
const BACK_WITHIN_MS = 2000
/** What a busy machine may add to it. */
const SLACK_MS = 1000
/** Attempts per connection after which its pauses have reached their longest. */
const ATTEMPTS = 6
const CONNECTIONS = 4
/** What the agent that is asked meanwhile is asked at, requests per second. */
const ASKS_PER_SECOND = 50

async function judge(t: TestContext, kind: 'uds' | 'grpc', address: string): Promise<AgentProcess> {
  const agent = await AgentProcess.start('judge', [kind, address])
  t.after(() => agent.kill())
  return agent
}

/** Pauses before the next attempts, as the log tells them. */
function pausesOf(daemon: Daemon, agent: string): number[] {
  const lines = daemon.process.output().split('\n')
  return lines
    .filter((line) => line.includes('"dial-failed"') && line.includes(`"agent":"${agent}"`))
    .map((line) => (JSON.parse(line) as { retryInMs: number }).retryInMs)
}

test('with default settings an agent that restarts is used again within two seconds, asked meanwhile or not', async (t) => {
  const place = await Place.make(t)
  const path = place.socket('judge')
  const first = await Promise.all([judge(t, 'uds', path), judge(t, 'grpc', '127.0.0.1:0')])
  const { address } = first[1]
  const route = (agent: string): string =>
    `{ match: { path: /${agent}/* }, upstream: "http://127.0.0.1:${place.upstream}", agents: [${agent}] }`
  await writeFile(
    place.file,
    `
listen: { http: 127.0.0.1:0, admin: unix:./admin.sock }
agents: { quiet: { endpoint: "unix:${path}" }, asked: { endpoint: "grpc://${address}" } }
routes: [${route('quiet')}, ${route('asked')}]
log: { level: debug }
`,
  )
  const daemon = await place.serve()
  await daemon.untilReady()
  for (const agent of ['quiet', 'asked']) assert.equal((await daemon.get(`/${agent}/`)).status, 200)

  for (const agent of first) await agent.kill()
  const statuses: number[] = []
  const asking = setInterval(
    () => void daemon.get('/asked/').then(({ status }) => statuses.push(status)),
    1000 / ASKS_PER_SECOND,
  )
  t.after(() => clearInterval(asking))
  await eventually(
    'the pauses are at their longest',
    () => pausesOf(daemon, 'quiet').length >= ATTEMPTS * CONNECTIONS,
    20_000,
  )
  assert.ok(statuses.length > 0)
  assert.deepEqual(new Set(statuses), new Set([503]), 'nothing passes an agent that is away')

  await Promise.all([judge(t, 'uds', path), judge(t, 'grpc', address)])
  const connectionsOf = (agent: string): number =>
    daemon.process.output().split(`"event":"connection-opened","agent":"${agent}"`).length - 1
  const isBack = async (): Promise<boolean> =>
    statuses.at(-1) === 200 && connectionsOf('quiet') === 2 * CONNECTIONS
  await eventually('both are in use again', isBack, BACK_WITHIN_MS + SLACK_MS)
  clearInterval(asking)
  assert.equal((await daemon.get('/quiet/')).status, 200)
  for (const agent of ['quiet', 'asked'])
    for (const pause of pausesOf(daemon, agent)) assert.ok(pause <= BACK_WITHIN_MS, `a pause of ${pause} ms`)
})

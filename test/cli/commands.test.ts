import assert from 'node:assert/strict'
import { userInfo } from 'node:os'
import { test } from 'node:test'
import type { AgentView, BanView, StatusView } from '../../src/admin/views.ts'
import { Place } from '../daemon/harness.ts'
import type { RunningProcess } from '../support/running-process.ts'

const AGENTS = '{ waf: { endpoint: "unix:./waf.sock", limit: { ratePerSecond: 10, burst: 20 } } }'

interface Result {
  readonly code: number | string
  readonly text: string
}

async function run(process: RunningProcess): Promise<Result> {
  return { code: await process.ended(), text: process.output() }
}

test('every view and change of a running daemon is a command, as text and as JSON', async (t) => {
  const place = await Place.make(t)
  await place.agent('waf', { version: '3.1' })
  await place.configure(AGENTS, 'waf')
  await place.serve('--wait-for-agents', '5000')
  const weir = (...args: string[]) => run(place.weir(...args, '-c', place.file))

  const status = await weir('status')
  assert.equal(status.code, 0, status.text)
  assert.match(status.text, /^weir \S+, process \d+, up \d+ (s|ms)\nstate +serving\n/)
  const { agents } = JSON.parse((await weir('status', '--json')).text) as StatusView
  assert.deepEqual(agents, { total: 1, ready: 1 })

  const listed = await weir('agents')
  assert.match(listed.text, /^AGENT +STATE .*\nwaf +ready +4\/4\/4 .*unix:\S+waf\.sock +waf 3\.1\n$/)
  assert.match(
    (await weir('connections', 'waf')).text,
    /^ID +AGENT .*(\n +\d+ {2}waf +uds .*|\n\d+ +waf +uds .*){4}\n$/,
  )
  assert.match(
    (await weir('limits', 'waf')).text,
    /\nwaf +limit +agent +10\/s +20 +event +20 +0 +0 +0 +enforced\n$/,
  )

  const ban = await weir('ban', 'waf', '--reason', 'too eager', '--for', '15m', '--author', 'ada', '--json')
  assert.equal(ban.code, 0, ban.text)
  const { since, until } = JSON.parse(ban.text) as BanView
  assert.equal(Date.parse(until ?? '') - Date.parse(since), 900_000)
  assert.match((await weir('bans')).text, /\nwaf .*too eager\n$/)
  assert.equal((await weir('unban', 'waf', '--reason', 'calmed down')).text, 'ban of waf lifted\n')
  assert.equal((await weir('bans')).text, 'no bans\n')
  assert.match(
    (await weir('bans', '--history', 'waf')).text,
    new RegExp(
      `^AT +AGENT .*\\n\\S+ +waf +unban +${userInfo().username} +calmed down\\n\\S+ +waf +ban +\\S+ +ada +too eager\\n$`,
    ),
  )
  assert.equal((await weir('bans', '--history', 'other')).text, 'no bans so far\n')
  assert.equal((await weir('unban', 'waf')).text, 'waf was not banned\n')

  assert.equal((await weir('drain', 'waf')).code, 0)
  const [drained] = JSON.parse((await weir('agents', '--json')).text) as AgentView[]
  assert.equal(drained?.state, 'draining')
  assert.equal((await weir('undrain', 'waf')).text, 'waf is back in service\n')
})

test('the exit code tells no from wrong usage from no daemon', async (t) => {
  const place = await Place.make(t)
  await place.configure(AGENTS, 'waf')
  const none = await run(place.weir('agents', '-c', place.file))
  assert.equal(none.code, 3)
  assert.match(none.text, /^weir: cannot reach the daemon at unix:\S+admin\.sock: /)
  assert.equal((await run(place.weir('agents', '--admin', 'nonsense'))).code, 2)
  assert.equal((await run(place.weir('agent'))).code, 2)
  assert.equal((await run(place.weir('ban', 'waf', '--for', 'ever', '-c', place.file))).code, 2)

  await place.serve()
  const unready = await run(place.weir('status', '-c', place.file))
  assert.equal(unready.code, 1, 'the agent is not there')
  const unknown = await run(place.weir('ban', 'wav', '-c', place.file, '--json'))
  assert.equal(unknown.code, 1)
  assert.equal((JSON.parse(unknown.text) as { error: { code: string } }).error.code, 'NOT_FOUND')
})

test('the daemon is found by WEIR_ADMIN, by --admin and by weir.yaml in the current folder', async (t) => {
  const place = await Place.make(t)
  await place.configure('{}', '')
  await place.serve()
  const socket = `unix:${place.socket('admin')}`
  assert.equal((await run(place.weir('status', '--admin', socket))).code, 0)
  assert.equal((await run(place.weir('status'))).code, 0)
})

test('check says that a file is valid, dials its agents when asked, and tells what they announce', async (t) => {
  const place = await Place.make(t)
  const agent = await place.agent('waf', { version: '3.1', onRequestHeaders: () => undefined })
  await place.configure(AGENTS, 'waf')
  const plain = await run(place.weir('check', '-c', place.file))
  assert.equal(plain.code, 0)
  assert.match(plain.text, /is valid: 1 agents, 1 routes\n$/)
  const connected = await run(place.weir('check', '-c', place.file, '--connect'))
  assert.equal(connected.code, 0, connected.text)
  assert.match(connected.text, /\nwaf +unix:\S+waf\.sock +ok +waf 3\.1; events: request-headers/)
  await agent.close()
  const refused = await run(place.weir('check', '-c', place.file, '--connect', '--json'))
  assert.equal(refused.code, 1)
  const { agents } = JSON.parse(refused.text) as { agents: { name: string; isOk: boolean }[] }
  assert.equal(agents[0]?.isOk, false)
})

test('check lists every mistake with its place as text and as JSON, exit code 2', async (t) => {
  const place = await Place.make(t)
  await place.configure('{ waf: { endpoint: "unix:./waf.sock", timeoutMs: -1, connections: 0 } }', 'waf')
  const text = await run(place.weir('check', '-c', place.file))
  assert.equal(text.code, 2)
  assert.equal(
    text.text.split('\n').filter((line) => /^weir\.yaml:6:\d+: agents\.waf\./.test(line)).length,
    2,
    text.text,
  )
  const json = await run(place.weir('check', '-c', place.file, '--json'))
  assert.equal(json.code, 2)
  const { problems } = JSON.parse(json.text) as { problems: { line: number; option: string }[] }
  assert.deepEqual(
    problems.map(({ line, option }) => `${line} ${option}`),
    ['6 agents.waf.timeoutMs', '6 agents.waf.connections'],
  )
})

test('config show hides secrets, config schema is JSON Schema that knows the options', async (t) => {
  const place = await Place.make(t)
  await place.configure('{ waf: { endpoint: "unix:./waf.sock", config: { apiKey: tok-123 } } }', 'waf')
  const shown = await run(place.weir('config', 'show', '-c', place.file))
  assert.equal(shown.code, 0)
  assert.ok(!shown.text.includes('tok-123') && shown.text.includes('waf.sock'), shown.text)
  const layers = await run(place.weir('config', 'show', '--layers', '-c', place.file))
  assert.match(layers.text, /^waf: deadline > trace > failure-mode > limit > .*acquire > send\n$/)
  const schema = await run(place.weir('config', 'schema'))
  const { $schema, properties } = JSON.parse(schema.text) as {
    $schema: string
    properties: Record<string, unknown>
  }
  assert.match($schema, /json-schema/)
  assert.ok('agents' in properties && 'listen' in properties)
})

test('nothing that agents or clients say commands the terminal', async (t) => {
  const place = await Place.make(t)
  await place.agent('waf', { version: '1\u001b[2J\nfake  ready' })
  await place.configure(AGENTS, 'waf')
  await place.serve('--wait-for-agents', '5000')
  const { text } = await run(place.weir('agents', '-c', place.file))
  assert.match(text, /waf 1\ufffd\[2J\ufffdfake {2}ready\n$/)
  assert.equal(text.split('\n').length, 3)
})

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { AgentView, ConnectionView, StatusView } from '../../src/admin/views.ts'
import { allow, block } from '../../src/sdk/answer.ts'
import { dialIn } from '../../src/sdk/dial-in.ts'
import { eventually } from '../support/eventually.ts'
import { type Daemon, Place } from './harness.ts'

const marking = (name: string) => ({
  onRequestHeaders: () => allow().setResponseHeader(`x-${name}`, '1'),
})

async function viewOf<T>(daemon: Daemon, path: string): Promise<T> {
  return JSON.parse((await daemon.admin(path)).text) as T
}

async function connectionIds(daemon: Daemon, agent: string): Promise<number[]> {
  const views = await viewOf<ConnectionView[]>(daemon, '/v1/connections')
  return views.filter((view) => view.agent === agent).map((view) => view.id)
}

/** Keeps requests coming until told to stop; returns the statuses that were not 200. */
function keepAsking(daemon: Daemon): { stop: () => Promise<{ asked: number; failed: string[] }> } {
  let isStopped = false
  let asked = 0
  const failed: string[] = []
  const loops = Array.from({ length: 4 }, async () => {
    while (!isStopped) {
      const answer = await daemon.get('/')
      asked++
      if (answer.status !== 200) failed.push(`${answer.status} ${answer.text}`)
    }
  })
  return {
    stop: async () => {
      isStopped = true
      await Promise.all(loops)
      return { asked, failed }
    },
  }
}

test('agents are added, changed and removed under load without one failed request, and others keep their connections', async (t) => {
  const place = await Place.make(t)
  await place.agent('a', marking('a'))
  await place.agent('b', marking('b'))
  await place.agent('c', marking('c'))
  await place.configure('{ a: { endpoint: "unix:./a.sock" }, b: { endpoint: "unix:./b.sock" } }', 'a, b')
  const daemon = await place.serve('--wait-for-agents', '5000')
  const before = await connectionIds(daemon, 'a')
  const load = keepAsking(daemon)

  await place.configure(
    '{ a: { endpoint: "unix:./a.sock", timeoutMs: 900 }, b: { endpoint: "unix:./b.sock", balance: p2c }, c: { endpoint: "unix:./c.sock" } }',
    'a, b, c',
  )
  await eventually('the new agent is asked', async () => (await daemon.get('/')).headers['x-c'] === '1')
  assert.equal((await daemon.get('/')).headers['x-b'], '1')

  await place.configure('{ a: { endpoint: "unix:./a.sock" }, c: { endpoint: "unix:./c.sock" } }', 'a, c')
  await eventually(
    'the removed agent is not asked',
    async () => (await daemon.get('/')).headers['x-b'] === undefined,
  )
  await eventually('the removed agent is gone', async () => {
    const agents = await viewOf<AgentView[]>(daemon, '/v1/agents')
    return agents.map((agent) => agent.name).join() === 'a,c'
  })
  const { asked, failed } = await load.stop()
  assert.deepEqual(failed, [], `of ${asked}`)
  assert.ok(asked > 20, `${asked} requests`)
  assert.deepEqual(await connectionIds(daemon, 'a'), before)
})

test('a request that began before a change is finished by the agents it began with, however long it takes', async (t) => {
  const place = await Place.make(t)
  await place.agent('late', { onResponseHeaders: () => allow().setResponseHeader('x-late', '1') })
  const agents = (more: string): string =>
    `{ late: { endpoint: "unix:./late.sock", events: [response-headers]${more} } }`
  await place.configure(agents(''), 'late')
  const daemon = await place.serve('--wait-for-agents', '5000')
  const old = await connectionIds(daemon, 'late')
  const slow = daemon.get('/?delay=3000')
  await eventually('the request is open', async () => {
    return (await viewOf<StatusView>(daemon, '/v1/status')).openRequests === 1
  })
  await place.configure(agents(', balance: p2c'), 'late')
  await eventually('new connections are in use', async () => {
    const now = await connectionIds(daemon, 'late')
    return now.length > 0 && !now.some((id) => old.includes(id))
  })
  await place.configure(agents(', balance: random'), 'late')
  await daemon.process.said(/configuration reloaded.*configuration reloaded/s)
  const answer = await slow
  assert.equal(answer.status, 200, answer.text)
  assert.equal(answer.headers['x-late'], '1')
})

test('a bad file changes nothing: it is logged with its place and shown, and a good one heals', async (t) => {
  const place = await Place.make(t)
  await place.agent('a', marking('a'))
  await place.configure('{ a: { endpoint: "unix:./a.sock" } }', 'a')
  const daemon = await place.serve('--wait-for-agents', '5000')
  await place.configure('{ a: { endpoint: "unix:./a.sock", timeoutMs: fast } }', 'a')
  await daemon.process.said(
    /the new configuration is refused, the old one stays in force: \S*weir\.yaml:6:\d+: agents\.a\.timeoutMs/,
  )
  assert.equal((await daemon.get('/')).headers['x-a'], '1')
  const status = await viewOf<StatusView>(daemon, '/v1/status')
  assert.match(status.config.refused[0] ?? '', /agents\.a\.timeoutMs/)
  assert.match((await daemon.admin('/metrics')).text, /weir_config_last_reload_successful 0/)

  await place.configure('{ a: { endpoint: "unix:./a.sock", timeoutMs: 700 } }', 'a')
  await eventually('the good file is in force', async () => {
    const { config } = await viewOf<StatusView>(daemon, '/v1/status')
    return config.refused.length === 0
  })
  assert.match((await daemon.admin('/metrics')).text, /weir_config_last_reload_successful 1/)
})

test('SIGHUP reads the file again', async (t) => {
  const place = await Place.make(t)
  await place.configure('{}', '')
  const daemon = await place.serve()
  daemon.process.child.kill('SIGHUP')
  await daemon.process.said(/configuration reloaded: SIGHUP/)
})

test('a change of a part that is fixed at the start is named', async (t) => {
  const place = await Place.make(t)
  await place.configure('{}', '')
  const daemon = await place.serve()
  await place.configure('{}', '', 'maxOpenRequests: 7\n')
  await daemon.process.said(/changes of maxOpenRequests take effect at the next start only/)
})

test('a link that is swapped beside the file, as Kubernetes does it, is a change', async (t) => {
  const place = await Place.make(t)
  await place.agent('a', { onRequestHeaders: () => block(403) })
  const mounted = join(place.folder, 'mounted')
  await mkdir(mounted)
  const put = async (version: string, text: string): Promise<void> => {
    await mkdir(join(mounted, version))
    await writeFile(join(mounted, version, 'weir.yaml'), text)
    await rm(join(mounted, '..next'), { force: true })
    await symlink(version, join(mounted, '..next'))
    await rename(join(mounted, '..next'), join(mounted, '..data'))
  }
  const text = (agents: string): string => `
listen: { http: "127.0.0.1:0", admin: "unix:${place.socket('admin')}" }
agents: { a: { endpoint: "unix:${place.socket('a')}" } }
routes: [{ match: { path: /* }, upstream: "http://127.0.0.1:${place.upstream}", agents: [${agents}] }]
storage: { path: "${join(place.folder, 'weir.db')}" }
`
  await put('..1', text(''))
  await symlink('..data/weir.yaml', join(mounted, 'weir.yaml'))
  const running = place.weir('serve', '-c', join(mounted, 'weir.yaml'))
  await running.said(/"event":"serving"/)
  await put('..2', text('a'))
  await running.said(/configuration reloaded: the file changed/)
})

test('a token is rotated without touching the connections of its agent, and places stay bounded', async (t) => {
  const place = await Place.make(t)
  const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex')
  const agents = (...tokens: string[]): string =>
    `{ pii: { reverse: { tokenSha256s: [${tokens.map(hashOf).join(', ')}], maxConnections: 2 } } }`
  await place.configure(agents('old'), 'pii')
  const daemon = await place.serve()
  const dial = (token: string, connections: number) => {
    const agent = dialIn(`unix:${place.socket('agents')}`, { name: 'pii' }, { token, connections, probe: {} })
    t.after(() => agent.close())
    return agent
  }
  const first = dial('old', 3)
  await daemon.process.said(/an agent that dialed in was refused: agent pii: 2 of 2 connections are open/)
  const before = await connectionIds(daemon, 'pii')
  assert.equal(before.length, 2)

  await place.configure(agents('new'), 'pii')
  await daemon.process.said(/configuration reloaded/)
  assert.deepEqual(await connectionIds(daemon, 'pii'), before)
  await first.close()
  dial('old', 1)
  await daemon.process.said(/refused: wrong token/)
  dial('new', 1)
  await daemon.untilReady()
  assert.equal((await daemon.get('/')).status, 200)
})

test('an agent that dials in keeps its one connection through changes of its pool options, and no request is refused', async (t) => {
  const place = await Place.make(t)
  const hash = createHash('sha256').update('secret').digest('hex')
  const agents = (more: string): string =>
    `{ pii: { reverse: { tokenSha256s: [${hash}], maxConnections: 2 }, onFailure: closed${more} } }`
  await place.configure(agents(''), 'pii')
  const daemon = await place.serve()
  let heard = 0
  const agent = dialIn(
    `unix:${place.socket('agents')}`,
    {
      name: 'pii',
      onRequestHeaders: async () => {
        heard++
        await new Promise((resolve) => setTimeout(resolve, 5))
        return allow()
      },
    },
    { token: 'secret', connections: 1, probe: {} },
  )
  t.after(() => agent.close())
  await daemon.untilReady()
  const before = await connectionIds(daemon, 'pii')
  const load = keepAsking(daemon)
  const changes = [
    ', balance: p2c',
    ', balance: ring-hash, maxConcurrentPerConnection: 2',
    ', balance: least-in-flight, breaker: { openMs: 700 }, slowStartMs: 50',
    ', sessions: { idleTtlMs: 60000 }, stallMs: 5000, queue: { maxWaiters: 70 }, heartbeatMs: 3000',
  ]
  for (const [index, change] of changes.entries()) {
    await place.configure(agents(change), 'pii')
    await daemon.process.said(
      new RegExp(
        Array(index + 1)
          .fill('configuration reloaded')
          .join('[^]*'),
      ),
    )
    const heardBefore = heard
    await eventually('requests go on', () => heard >= heardBefore + 20)
  }
  const { asked, failed } = await load.stop()
  assert.deepEqual(failed, [], `of ${asked}`)
  assert.deepEqual(await connectionIds(daemon, 'pii'), before)
})

import assert from 'node:assert/strict'
import { rename, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { Place } from '../daemon/harness.ts'
import { eventually } from '../support/eventually.ts'
import type { RunningProcess } from '../support/running-process.ts'
import { Clients, type Exchange, exchangeWith } from './clients.ts'
import { startGuard } from './guard.ts'

const CONCURRENCY = 40

interface CountingUpstream {
  readonly origin: string
  /** The `x-n` of every request that arrived. */
  readonly arrived: ReadonlySet<number>
}

/** Says its name, after the milliseconds that the query `delay` names. */
async function namedUpstream(t: TestContext, name: string): Promise<CountingUpstream> {
  const arrived = new Set<number>()
  const server = createServer((request, response) => {
    arrived.add(Number(request.headers['x-n']))
    const delayMs = Number(new URL(request.url ?? '/', 'http://upstream').searchParams.get('delay') ?? 0)
    setTimeout(() => response.end(name), delayMs)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, arrived }
}

async function write(place: Place, text: string): Promise<void> {
  await writeFile(`${place.file}.new`, text)
  await rename(`${place.file}.new`, place.file)
}

const LISTEN =
  'listen: { http: "127.0.0.1:0", admin: unix:./admin.sock }\nlog: { sampleAllows: 0 }\ndrainTimeoutMs: 10000\n'

for (const { signals, code } of [
  { signals: ['SIGTERM'], code: 0 },
  { signals: ['SIGTERM', 'SIGTERM'], code: 143 },
] as const)
  test(`${signals.join(', then ')} under load: exit code ${code}, ${code === 0 ? 'and whatever the upstream has got is answered' : 'at once'}`, async (t) => {
    const place = await Place.make(t)
    const { origin, arrived } = await namedUpstream(t, 'first')
    await startGuard(t, 'uds', place.socket('guard'), { delayMs: 2 })
    await write(
      place,
      `${LISTEN}
agents: { guard: { endpoint: unix:./guard.sock } }
routes: [{ match: { path: /* }, upstream: "${origin}", agents: [guard] }]
`,
    )
    const daemon = await place.serve('--wait-for-agents', '10000')
    const delayMs = code === 0 ? 300 : 8000
    const load = new Clients(daemon.port, CONCURRENCY, (n) => (n % 2 === 0 ? '/' : `/?delay=${delayMs}`))
    await eventually('the load runs', () => load.exchanges.length > CONCURRENCY && arrived.size > CONCURRENCY)
    daemon.process.child.kill('SIGTERM')
    await daemon.process.said(/"event":"draining"/)
    if (code === 0) {
      /* Idle connections end with their drain; whoever asks on one that was just ended knows that nothing was sent on. */
      assert.equal(await daemon.process.ended(), 0)
      const all = await load.stop()
      for (const { n, status, failure, headers, text } of all) {
        /* A request that comes while its connection is about to end is refused, if it is read at all. */
        const refused = status === 503 && text?.includes('DRAINING') === true ? text : failure
        if (refused !== undefined)
          assert.ok(!arrived.has(n), `${refused}, though the upstream had request ${n}`)
        else assert.deepEqual([status, text], [200, 'first'])
        if (failure === undefined) assert.ok(headers['x-weir-correlation-id'])
      }
      const slow = all.filter(({ path, status }) => path.includes('delay') && status === 200)
      assert.ok(slow.length >= CONCURRENCY / 2, `${slow.length} slow requests ended well`)
      await daemon.process.said(/"event":"drained"/)
      return
    }
    daemon.process.child.kill('SIGTERM')
    assert.equal(await daemon.process.ended(3000), code)
    await load.stop()
  })

test('reloads by SIGHUP under load lose no request: agents come, change and go, routes move, a bad file changes nothing', async (t) => {
  const place = await Place.make(t)
  const [first, second] = [await namedUpstream(t, 'first'), await namedUpstream(t, 'second')]
  await Promise.all(
    ['a', 'b'].map((name) => startGuard(t, 'uds', place.socket(name), { delayMs: name === 'a' ? 0 : 2 })),
  )
  const configured = (agents: string, route: string, more = ''): Promise<void> =>
    write(
      place,
      `${LISTEN}\nagents: ${agents}\nroutes:\n  - { match: { path: /* }, upstream: ${route} }\n${more}`,
    )
  const a = 'a: { endpoint: unix:./a.sock }'
  const b = 'b: { endpoint: unix:./b.sock }'
  await configured(`{ ${a} }`, `"${first.origin}", agents: [a]`)
  const daemon = await place.serve('--wait-for-agents', '10000')
  const reloads = (): number => daemon.process.output().split('configuration reloaded').length - 1
  /* The file is watched as well, so one change may be read twice; the second time there is nothing to do. */
  const reload = async (agents: string, route: string, more?: string): Promise<void> => {
    const before = reloads()
    await configured(agents, route, more)
    daemon.process.child.kill('SIGHUP')
    await eventually('the reload is logged', () => reloads() > before)
  }
  const answered = (what: string, holds: (exchange: Exchange) => boolean): Promise<void> =>
    eventually(what, async () => holds(await exchangeWith(daemon.port, '/')))

  const load = new Clients(daemon.port, CONCURRENCY, (n) => (n % 2 === 0 ? '/' : '/?delay=60'))
  await eventually('the load runs', () => load.exchanges.length > CONCURRENCY)
  await reload(`{ ${a}, ${b} }`, `"${first.origin}", agents: [a, b]`)
  await reload(
    `{ ${a}, b: { endpoint: unix:./b.sock, balance: p2c, timeoutMs: 2500 } }`,
    `"${second.origin}", agents: [b, a]`,
  )
  await answered('the route leads elsewhere', ({ text }) => text === 'second')

  await configured(`{ ${a} }`, '"http://127.0.0.1:1", agents: [nobody]')
  daemon.process.child.kill('SIGHUP')
  await daemon.process.said(
    /the new configuration is refused, the old one stays in force: \S*weir\.yaml:\d+:\d+: routes\[0\]\.agents\[0\]: no agent is named/,
  )
  assert.equal((await exchangeWith(daemon.port, '/')).text, 'second')

  await reload(
    '{}',
    `"${first.origin}", agents: []`,
    '  - { match: { path: /new }, upstream: "http://127.0.0.1:1", agents: [] }\n',
  )
  await answered('no agent is asked', ({ headers }) => headers['x-guard'] === undefined)
  assert.equal((await exchangeWith(daemon.port, '/new')).status, 502)
  const all = await load.stop()
  const lost = all.filter(({ status, headers }) => status !== 200 || !headers['x-weir-correlation-id'])
  assert.deepEqual(lost, [], `of ${all.length}`)
  assert.deepEqual([...new Set(all.map(({ text }) => text))].sort(), ['first', 'second'])
  t.diagnostic(`${all.length} requests, ${reloads()} reloads`)
  daemon.process.child.kill('SIGTERM')
  assert.equal(await daemon.process.ended(), 0)
})

test('two daemons on one database share a limit, and a place that is taken is one line that names its option', async (t) => {
  const place = await Place.make(t)
  const { origin } = await namedUpstream(t, 'first')
  await startGuard(t, 'uds', place.socket('guard'))
  const burst = 40
  const text = (name: string): string => `
listen:
  http: 127.0.0.1:0
  admin: unix:./${name}.sock
  grpc: 127.0.0.1:0
  socket: unix:./${name}-proxies.sock
  reverse: [unix:./${name}-agents.sock]
storage: { path: ./shared.db }
agents: { guard: { endpoint: unix:./guard.sock, limit: { ratePerSecond: 0, burst: ${burst} } } }
routes: [{ match: { path: /* }, upstream: "${origin}", agents: [guard] }]
`
  const start = async (name: string): Promise<{ process: RunningProcess; port: number }> => {
    await writeFile(`${place.folder}/${name}.yaml`, text(name))
    const process = place.weir('serve', '-c', `${name}.yaml`, '--wait-for-agents', '10000')
    const [, port] = await process.said(/"option":"listen\.http","address":"127\.0\.0\.1:(\d+)"/)
    return { process, port: Number(port) }
  }
  const [one, two] = await Promise.all([start('one'), start('two')])
  const exchanges = await Promise.all(
    Array.from({ length: 3 * burst }, (_, n) => exchangeWith(n % 2 === 0 ? one.port : two.port, '/')),
  )
  const statuses = exchanges.map(({ status }) => status)
  const allowed = statuses.filter((status) => status === 200).length
  assert.ok(
    statuses.every((status) => status === 200 || status === 429),
    statuses.join(),
  )
  assert.ok(allowed <= burst && allowed > burst / 2, `${allowed} of a burst of ${burst} passed`)
  t.diagnostic(`${allowed} of a burst of ${burst} passed`)

  const taken = {
    grpc: '"127.0.0.1:PORT"',
    socket: 'unix:./one-proxies.sock',
    reverse: '[unix:./one-agents.sock], grpc: "127.0.0.1:0"',
  }
  const [, port = ''] = await one.process.said(/"option":"listen\.grpc","address":"[^"]*:(\d+)"/)
  await Promise.all(
    Object.entries(taken).map(async ([option, address]) => {
      const file = `${option}.yaml`
      await writeFile(
        `${place.folder}/${file}`,
        `listen: { ${option}: ${address.replace('PORT', port)} }\nstorage: { path: ./${option}.db }\nroutes: [{ match: { path: /* }, agents: [] }]\n`,
      )
      const third = place.weir('serve', '-c', file)
      assert.equal(await third.ended(), 1, third.output())
      const whose = `listen\\.${option}\\S*`
      const line = `^weir: ${whose}: \\S+ is in use; stop what listens there or change ${whose}\n$`
      assert.match(third.output(), new RegExp(line))
    }),
  )
  assert.equal((await exchangeWith(one.port, '/')).status, 429)
})

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { WeirError } from '../../../src/core/errors.ts'
import { clientAddress, TrustedProxies } from '../../../src/frontend/http/forwarding.ts'
import { completeOptions } from '../../../src/frontend/http/options.ts'
import { resolvePath } from '../../../src/frontend/http/request-target.ts'
import { type HttpRoute, RouteTable } from '../../../src/frontend/http/route-table.ts'
import { scriptedChain } from '../../support/scripted-dispatcher.ts'
import { type Echoed, raw, rig, valuesOf } from './rig.ts'

function route(path: string, host?: string, upstream = 'http://127.0.0.1:1'): HttpRoute {
  return { name: `${host ?? ''}${path}`, host, path, upstream, chain: scriptedChain() }
}

function matched(routes: readonly HttpRoute[], host: string, path: string): string | undefined {
  return new RouteTable(routes).match(host, path)?.name
}

test('the most specific route wins, in whatever order they are given', () => {
  const routes = [route('/*'), route('/api/*'), route('/api/v1/*'), route('/api/v1/me'), route('/img/*.png')]
  for (const given of [routes, routes.toReversed()]) {
    assert.equal(matched(given, 'h', '/'), '/*')
    assert.equal(matched(given, 'h', '/apis'), '/*')
    assert.equal(matched(given, 'h', '/api'), '/api/*')
    assert.equal(matched(given, 'h', '/api/x/y'), '/api/*')
    assert.equal(matched(given, 'h', '/api/v1/me'), '/api/v1/me')
    assert.equal(matched(given, 'h', '/api/v1/me/x'), '/api/v1/*')
    assert.equal(matched(given, 'h', '/img/a.png'), '/img/*.png')
    assert.equal(matched(given, 'h', '/img/a/b.png'), '/*')
  }
})

test('a route with a host comes first, the exact name before the pattern', () => {
  const routes = [route('/a/b/c/*'), route('/*', 'shop.example.com'), route('/*', '*.example.com')]
  assert.equal(matched(routes, 'shop.example.com', '/a/b/c/d'), 'shop.example.com/*')
  assert.equal(matched(routes, 'x.example.com', '/a/b/c/d'), '*.example.com/*')
  assert.equal(matched(routes, 'example.com', '/a/b/c/d'), '/a/b/c/*')
  assert.equal(matched(routes, 'example.com', '/'), undefined)
})

test('routes that cannot work are refused by name', () => {
  for (const wrong of [
    [route('api')],
    [route('/a?b')],
    [route('/', '*')],
    [route('/', 'a*.b')],
    [route('/x/*'), { ...route('/x/*'), name: 'again' }],
  ]) {
    assert.throws(
      () => new RouteTable(wrong),
      (error) => error instanceof WeirError && error.code === 'INVALID_ARGUMENT',
    )
  }
})

test('numbers out of range are refused by name', () => {
  assert.throws(() => completeOptions({ headersTimeoutMs: 0 }), /http\.headersTimeoutMs is 0/)
  assert.throws(() => completeOptions({ upstream: { maxConnections: -1 } }), /http\.upstream\.maxConnections/)
})

test('a via name that no header can have is refused by name', () => {
  for (const via of ['', 'x\ny', 'two words']) {
    assert.throws(() => completeOptions({ via }), /http\.via is "/)
  }
})

test('a path is resolved as a decoding server would', () => {
  assert.equal(resolvePath('/public/../api/x'), '/api/x')
  assert.equal(resolvePath('/public/%2e%2E/api'), '/api')
  assert.equal(resolvePath('//api///x'), '/api/x')
  assert.equal(resolvePath('/a\\..\\api/'), '/api/')
  assert.equal(resolvePath('/a/..;x=1/api'), '/api')
  assert.equal(resolvePath('/%61pi'), '/api')
})

test('a path that leads around the agents of a route is refused', async (t) => {
  const to = await rig(t, {
    routes: (upstream) => [
      { ...route('/public/*', undefined, upstream) },
      { ...route('/api/*', undefined, upstream), chain: scriptedChain({ wants: ['request-headers'] }) },
    ],
  })
  for (const path of ['/public/../api/x', '/public/%2e%2e/api/x', '/public/..%2fapi/x', '/public/..\\api']) {
    const text = await raw(to.port, `GET ${path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`)
    assert.match(text, /^HTTP\/1\.1 400 /, path)
  }
  const fine = await raw(to.port, 'GET /public/a%20b/./c HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')
  assert.match(fine, /"url":"\/public\/a%20b\/\.\/c"/)
})

test('routes are swapped without dropping the requests under way', async (t) => {
  let release: (() => void) | undefined
  const to = await rig(t, {
    upstream: (_, response) => {
      release = () => response.end('old')
    },
  })
  const other = createServer((_, response) => response.end('new'))
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  t.after(() => other.close())
  const underWay = fetch(to.origin)
  while (release === undefined) await new Promise((resolve) => setImmediate(resolve))
  to.frontend.setRoutes([route('/*', undefined, `http://127.0.0.1:${(other.address() as AddressInfo).port}`)])
  assert.equal(await (await fetch(to.origin)).text(), 'new')
  release()
  assert.equal(await (await underWay).text(), 'old')
})

test('a route table with an error leaves the old one in place', async (t) => {
  const to = await rig(t)
  assert.throws(() => to.frontend.setRoutes([route('/x', undefined, 'http://h/with/path')]), /without a path/)
  assert.equal((await fetch(to.origin)).status, 200)
})

test('the client is the nearest address that is no trusted proxy', () => {
  const trusted = new TrustedProxies(['10.0.0.0/8', '::1'])
  const proxy = { address: '10.0.0.1', port: 1, isTrusted: true }
  assert.equal(clientAddress(proxy, '6.6.6.6, 7.7.7.7, 10.1.1.1', trusted), '7.7.7.7')
  assert.equal(clientAddress(proxy, '10.2.2.2', trusted), '10.2.2.2')
  assert.equal(clientAddress(proxy, 'junk, 10.2.2.2', trusted), '10.2.2.2')
  assert.equal(clientAddress(proxy, undefined, trusted), '10.0.0.1')
  assert.equal(
    clientAddress({ ...proxy, address: '8.8.8.8', isTrusted: false }, '1.1.1.1', trusted),
    '8.8.8.8',
  )
  assert.throws(() => new TrustedProxies(['10.0.0.0/99']), /prefix length/)
  for (const wrong of ['localhost', '10.0.0.0/', '10.0.0.0/8/9', '10.0.0.0/ 8', ''])
    assert.throws(() => new TrustedProxies([wrong]), /neither an address nor a CIDR range/, wrong)
})

for (const [who, trustedProxies] of [
  ['a stranger', []],
  ['a trusted proxy', ['127.0.0.0/8']],
] as const) {
  test(`x-forwarded-* from ${who}`, async (t) => {
    const to = await rig(t, { options: { trustedProxies, via: 'weir' } })
    const response = await fetch(to.origin, {
      headers: { 'x-forwarded-for': '6.6.6.6', 'x-forwarded-proto': 'https', forwarded: 'for=6.6.6.6' },
    })
    const { headers } = (await response.json()) as Echoed
    const isTrusted = trustedProxies.length > 0
    assert.deepEqual(valuesOf(headers, 'x-forwarded-for'), [isTrusted ? '6.6.6.6, 127.0.0.1' : '127.0.0.1'])
    assert.deepEqual(valuesOf(headers, 'x-forwarded-proto'), [isTrusted ? 'https' : 'http'])
    assert.deepEqual(valuesOf(headers, 'forwarded'), isTrusted ? ['for=6.6.6.6'] : [])
    assert.deepEqual(valuesOf(headers, 'via'), ['1.1 weir'])
    assert.equal(response.headers.get('via'), '1.1 weir')
    assert.equal(to.dispatcher.scopes[0]!.facts.clientIp, isTrusted ? '6.6.6.6' : '127.0.0.1')
  })
}

test('the session key comes from where the options say', async (t) => {
  const headers = { cookie: 'a=1; sid=abc', 'X-Session': 'xyz' }
  for (const [sessionKey, expected] of [
    [{ from: 'header', name: 'X-Session' }, 'xyz'],
    [{ from: 'cookie', name: 'sid' }, 'abc'],
    [{ from: 'cookie', name: 'none' }, undefined],
    [{ from: 'client-address' }, '127.0.0.1'],
  ] as const) {
    const to = await rig(t, { options: { sessionKey } })
    await (await fetch(to.origin, { headers })).text()
    const { facts } = to.dispatcher.scopes[0]!
    assert.equal(facts.sessionKey, expected)
    assert.equal(facts.header?.('x-session'), 'xyz')
  }
})

test('drain lets open requests end, refuses new connections, and is one promise', async (t) => {
  let release: (() => void) | undefined
  const to = await rig(t, {
    upstream: (_, response) => {
      release = () => response.end('done')
    },
  })
  const underWay = fetch(to.origin)
  while (release === undefined) await new Promise((resolve) => setImmediate(resolve))
  const drained = to.frontend.drain(5000)
  assert.equal(to.frontend.drain(1), drained)
  await assert.rejects(fetch(to.origin))
  release()
  assert.equal(await (await underWay).text(), 'done')
  await drained
})

test('drain cuts what is open at its deadline', async (t) => {
  const to = await rig(t, { upstream: () => undefined })
  const underWay = fetch(to.origin)
  const failed = assert.rejects(underWay)
  while (to.dispatcher.openRequests === 0) await new Promise((resolve) => setImmediate(resolve))
  await to.frontend.drain(20)
  await failed
  assert.equal(to.dispatcher.openRequests, 0)
})

test('each request is reported once, with route, path without query and decision', async (t) => {
  const done: unknown[] = []
  const to = await rig(t, {
    probe: { requestDone: (facts) => done.push(facts) },
    chain: { wants: ['request-headers'] },
    script: () => ({ decision: { kind: 'block', status: 403 }, decidedBy: 'waf' }),
  })
  const response = await fetch(`${to.origin}/p?secret=1`, { headers: { 'x-request-id': 'r1' } })
  await response.text()
  while (done.length === 0) await new Promise((resolve) => setImmediate(resolve))
  const [facts] = done as [Record<string, unknown>]
  assert.equal(typeof facts['durationMs'], 'number')
  assert.deepEqual(
    { ...facts, durationMs: 0 },
    {
      correlationId: response.headers.get('x-weir-correlation-id'),
      requestId: 'r1',
      route: 'all',
      method: 'GET',
      path: '/p',
      status: 403,
      durationMs: 0,
      decision: 'block',
      decidedBy: 'waf',
      error: undefined,
      reason: undefined,
      bypassed: [],
    },
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseBindAddress, parseEndpoint } from '../../src/transport/endpoint.ts'

test('every form of endpoint is read', () => {
  const uds = (path: string) => ({ kind: 'uds', path })
  assert.deepEqual(parseEndpoint('unix:/run/waf.sock'), uds('/run/waf.sock'))
  assert.deepEqual(parseEndpoint('unix:./run/waf.sock'), uds('./run/waf.sock'))
  assert.deepEqual(parseEndpoint('unix:///run/waf.sock'), uds('/run/waf.sock'))
  assert.deepEqual(parseEndpoint('/run/waf'), uds('/run/waf'))
  assert.deepEqual(parseEndpoint('run/waf.sock'), uds('run/waf.sock'))
  assert.deepEqual(parseEndpoint('v1:unix:/run/old.sock'), { kind: 'v1', path: '/run/old.sock' })
  const grpc = (host: string, port: number, security: string) => ({ kind: 'grpc', host, port, security })
  assert.deepEqual(parseEndpoint('grpc://127.0.0.1:50061'), grpc('127.0.0.1', 50061, 'plaintext'))
  assert.deepEqual(parseEndpoint('http://waf.example:80'), grpc('waf.example', 80, 'plaintext'))
  assert.deepEqual(parseEndpoint('grpcs://waf.example:443/'), grpc('waf.example', 443, 'tls'))
  assert.deepEqual(parseEndpoint('https://waf.example:443'), grpc('waf.example', 443, 'explicit-tls'))
  assert.deepEqual(parseEndpoint('grpc://[::1]:1'), grpc('::1', 1, 'plaintext'))
})

test('every form of listening address is read', () => {
  assert.deepEqual(parseBindAddress('unix:/run/a.sock'), { kind: 'unix', path: '/run/a.sock' })
  assert.deepEqual(parseBindAddress('tcp://0.0.0.0:0'), { kind: 'tcp', host: '0.0.0.0', port: 0 })
  assert.deepEqual(parseBindAddress('tls://[::]:9443'), { kind: 'tls', host: '::', port: 9443 })
})

for (const [text, message] of [
  ['127.0.0.1:50061', /write grpc:\/\/127\.0\.0\.1:50061/],
  ['grpc://waf.example', /no port.*grpc:\/\/waf\.example:50051/],
  ['grpc://waf.example:99999', /no valid host and port/],
  ['grpc://waf.example:80/path', /more than host and port/],
  ['grpc://user@waf.example:80', /more than host and port/],
  ['ftp://waf.example:80', /not an endpoint/],
  ['unix:', /names no socket file/],
  ['v1:', /names no socket file/],
  ['', /not an endpoint/],
  [`unix:/${'x'.repeat(107)}`, /108 bytes/],
] as const) {
  test(`"${text.slice(0, 30)}" is refused with its fix`, () => {
    assert.throws(
      () => parseEndpoint(text),
      (error: Error & { code: string }) => error.code === 'INVALID_ARGUMENT' && message.test(error.message),
    )
  })
}

test('an address that cannot be listened on is refused', () => {
  for (const text of ['127.0.0.1:9000', 'grpc://a:1', 'tcp://a', 'a.sock'])
    assert.throws(() => parseBindAddress(text), { code: 'INVALID_ARGUMENT' })
})

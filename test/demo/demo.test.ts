import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import { dirname } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { eventually } from '../support/eventually.ts'
import { type HttpAnswer, type HttpCall, httpCall } from '../support/http-call.ts'
import { childrenOf, isRunning, type RunningProcess, startProcess } from '../support/running-process.ts'

const WEIR = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

interface Demo {
  readonly process: RunningProcess
  readonly folder: string
  call(path: string, call?: Partial<HttpCall>): Promise<HttpAnswer>
}

async function startDemo(t: Parameters<typeof startProcess>[0]): Promise<Demo> {
  const running = startProcess(t, [WEIR, 'demo', '--port', '0'])
  const [, port] = await running.said(/Weir listens on http:\/\/127\.0\.0\.1:(\d+)/, 40_000)
  const [, socket = ''] = await running.said(/--admin unix:(\S+)/)
  return {
    process: running,
    folder: dirname(socket),
    call: (path, call) => httpCall({ port: Number(port), path, ...call }),
  }
}

test('the demo decides as its page says, shows each decision, and leaves nothing behind', async (t) => {
  const demo = await startDemo(t)
  const children = childrenOf(demo.process.pid)
  assert.equal(children.length, 4, 'weir and three agents')
  const answers: HttpAnswer[] = []
  const call: Demo['call'] = async (path, more) => {
    const answer = await demo.call(path, more)
    answers.push(answer)
    return answer
  }

  const hello = await call('/hello')
  assert.equal(hello.status, 200)
  assert.match(hello.text, /Hello/)
  for (const query of [
    '%3Cscript%3E',
    '%253Cscript%253E',
    '%3CSCRIPT+src=x%3E',
    "1'+OR+'1'='1",
    '1;DROP+TABLE+users',
  ])
    assert.equal((await call(`/hello?q=${query}`)).status, 403, query)
  assert.equal((await call("/hello?name=O'Reilly+and+sons")).status, 200)
  assert.equal((await call('/%3Cscript%3E')).status, 403)

  const anonymous = await call('/admin')
  assert.equal(anonymous.status, 401)
  assert.match(String(anonymous.headers['www-authenticate']), /^Bearer /)
  for (const path of ['/%61dmin', '//admin', '/x/../admin', '/ADMIN/'])
    assert.notEqual((await call(path)).status, 200, path)
  const known = await call('/admin', { headers: { authorization: 'Bearer demo' } })
  assert.equal(known.status, 200)
  assert.match(known.text, /admin area/)

  const moved = await call('/login-old')
  assert.equal(moved.status, 302)
  assert.equal(moved.headers['location'], '/login')

  const form = { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' } }
  assert.equal((await call('/form', { ...form, body: "user=' OR 1=1 --" })).status, 403)
  assert.equal((await call('/form', { ...form, body: 'user=%27%20OR%201%3D1%20--' })).status, 403)
  assert.equal((await call('/form', { ...form, body: 'user=ada' })).status, 200)

  const card = await call('/card')
  assert.equal(card.status, 200)
  assert.ok(card.headers['x-pii-scanned'])
  assert.match(card.text, /"card":"\*{4} \*{4} \*{4} 1111","order":"1234567890123456"/)

  for (const answer of answers) assert.ok(answer.headers['x-weir-correlation-id'])
  await demo.process.said(/403 {2}block by waf +GET \/hello/)
  await demo.process.said(/401 {2}challenge by auth +GET \/admin/)

  demo.process.child.kill('SIGINT')
  assert.equal(await demo.process.ended(), 0)
  assert.ok(!existsSync(demo.folder), demo.folder)
  for (const pid of children) assert.ok(!isRunning(pid), `process ${pid} is left`)
})

test('an agent that dies is started again and serves again; requests meanwhile are denied, not passed', async (t) => {
  const demo = await startDemo(t)
  const waf = childrenOf(demo.process.pid)[0]!
  process.kill(waf, 'SIGKILL')
  await demo.process.said(/waf ended with SIGKILL; starting it again/)
  await eventually(
    'the attack is blocked by the agent again',
    async () => {
      const { status } = await demo.call('/hello?q=%3Cscript%3E')
      assert.notEqual(status, 200)
      return status === 403
    },
    20_000,
  )
  demo.process.child.kill('SIGTERM')
  assert.equal(await demo.process.ended(), 0)
})

test('when the demo is killed its processes end by themselves and remove their files', async (t) => {
  const demo = await startDemo(t)
  const children = childrenOf(demo.process.pid)
  demo.process.child.kill('SIGKILL')
  await eventually('all children ended', () => !children.some(isRunning), 15_000)
  assert.ok(!existsSync(demo.folder), demo.folder)
})

test('a taken port is named in one line, and nothing is left running', async (t) => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  const demo = startProcess(t, [WEIR, 'demo', '--port', String(address.port)])
  assert.equal(await demo.ended(), 1)
  assert.equal(
    demo.output(),
    `weir demo: port ${address.port} on 127.0.0.1 is taken by another process; choose another with --port or WEIR_DEMO_PORT\n`,
  )
})

import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Agent } from '../../../src/sdk/agent.ts'
import { allow, block } from '../../../src/sdk/answer.ts'
import { dialIn } from '../../../src/sdk/dial-in.ts'
import type { RunningAgent } from '../../../src/sdk/running-agent.ts'
import { serveGrpc, serveUds } from '../../../src/sdk/serve.ts'

/*
 * A well-behaved SDK agent: `judge uds PATH [DELAY_MS]`, `judge grpc HOST:PORT [DELAY_MS]`,
 * `judge reverse ADDRESS DELAY_MS CONNECTIONS INSTANCE`. Every answer names the process and repeats the URI it judged.
 * Lines: `seen` (events so far), `hold` (answer nothing), `release`, `pause`, `resume`, `close` (gracefully, then exit).
 */
const [kind, address = '', delay = '0', connections = '1', instance = 'judge'] = process.argv.slice(2)
const delayMs = Number(delay)
let seen = 0
let held: (() => void)[] | undefined

const agent: Agent = {
  name: 'judge',
  onRequestHeaders: async ({ uri }) => {
    seen++
    if (held !== undefined) await new Promise<void>((resolve) => held!.push(resolve))
    if (delayMs > 0) await sleep(delayMs)
    if (uri.startsWith('/forbidden')) return block(403)
    return allow().setRequestHeader('x-judge', String(process.pid)).setRequestHeader('x-echo', uri)
  },
}

async function start(): Promise<RunningAgent> {
  if (kind === 'uds') return serveUds(address, agent)
  if (kind === 'grpc') return serveGrpc(address, agent)
  if (kind === 'reverse') {
    const backoff = { initialMs: 50, maxMs: 400 }
    return dialIn(address, agent, {
      token: 'secret',
      connections: Number(connections),
      instance,
      backoff,
      probe: {},
    })
  }
  throw new Error(`unknown kind of agent: ${kind}`)
}

const running = await start()
const commands: Readonly<Record<string, () => unknown>> = {
  seen: () => console.log(`seen ${seen}`),
  hold: () => {
    held ??= []
    console.log('hold')
  },
  release: () => {
    const resolves = held ?? []
    held = undefined
    for (const resolve of resolves) resolve()
    console.log('release')
  },
  pause: () => running.pause(),
  resume: () => running.resume(),
  close: () => running.close({ timeoutMs: 2000 }).then(() => process.exit(0)),
}
createInterface({ input: process.stdin })
  .on('line', (line) => commands[line]?.())
  .on('close', () => process.exit(0))
console.log(`ready ${running.port}`)

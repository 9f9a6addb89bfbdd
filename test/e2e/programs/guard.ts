import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Agent } from '../../../src/sdk/agent.ts'
import { allow } from '../../../src/sdk/answer.ts'
import { dialIn } from '../../../src/sdk/dial-in.ts'
import type { RunningAgent } from '../../../src/sdk/running-agent.ts'
import { serveGrpc, serveUds } from '../../../src/sdk/serve.ts'

/*
 * An SDK agent that allows and marks what it allowed: `guard KIND ADDRESS NAMES DELAY_MS`. NAMES, divided by commas, are the
 * ids under which it dials in (token `secret`); dialed, it is one agent whatever it is called. Line: `seen` (events so far).
 */
const [kind, address = '', names = 'guard', delay = '0'] = process.argv.slice(2)
const delayMs = Number(delay)
let seen = 0

function agentOf(name: string): Agent {
  return {
    name,
    onRequestHeaders: async () => {
      seen++
      if (delayMs > 0) await sleep(delayMs)
      return allow().setResponseHeader('x-guard', String(process.pid))
    },
    onRequestBody: () => void seen++,
    onResponseBody: () => void seen++,
  }
}

async function start(): Promise<RunningAgent | undefined> {
  switch (kind) {
    case 'uds':
      return serveUds(address, agentOf(names))
    case 'grpc':
      return serveGrpc(address, agentOf(names))
    case 'reverse':
      for (const name of names.split(',')) dialIn(address, agentOf(name), { token: 'secret', probe: {} })
      return undefined
    default:
      throw new Error(`unknown kind of agent: ${kind}`)
  }
}

const running = await start()
createInterface({ input: process.stdin })
  .on('line', () => console.log(`seen ${seen}`))
  .on('close', () => process.exit(0))
console.log(`ready ${running?.port ?? 0}`)

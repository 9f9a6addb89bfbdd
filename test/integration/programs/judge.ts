import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Agent } from '../../../src/sdk/agent.ts'
import { allow, block } from '../../../src/sdk/answer.ts'
import type { RunningAgent } from '../../../src/sdk/running-agent.ts'

/*
 * A well-behaved SDK agent: `judge uds PATH [DELAY_MS]`, `judge grpc HOST:PORT [DELAY_MS]`,
 * `judge reverse ADDRESS DELAY_MS CONNECTIONS INSTANCE`. Every answer names the process and repeats the URI it judged.
 * Pieces of request bodies are allowed with the process as a tag. Lines: `seen` (events so far), `torn` (pieces that came
 * without those before them), `hold` (answer nothing), `held` (how many), `release`, `pause`, `resume`, `close` (gracefully, then exit).
 */
const [kind, address = '', delay = '0', connections = '1', instance = 'judge'] = process.argv.slice(2)
const delayMs = Number(delay)
let seen = 0
let torn = 0
let held: (() => void)[] | undefined

async function dwell(): Promise<void> {
  seen++
  if (held !== undefined) await new Promise<void>((resolve) => held!.push(resolve))
  if (delayMs > 0) await sleep(delayMs)
}

const agent: Agent<{ pieces: number }> = {
  name: 'judge',
  onRequestHeaders: async ({ uri }) => {
    await dwell()
    if (uri.startsWith('/forbidden')) return block(403)
    return allow().setRequestHeader('x-judge', String(process.pid)).setRequestHeader('x-echo', uri)
  },
  onRequestBody: async ({ chunkIndex }, { state }) => {
    if (chunkIndex !== (state.pieces ?? 0)) torn++
    state.pieces = chunkIndex + 1
    await dwell()
    return allow().addTag(String(process.pid))
  },
}

/** Loads only what the kind needs: many of these start in a test run, and gRPC is most of what an agent loads. */
async function start(): Promise<RunningAgent> {
  switch (kind) {
    case 'uds': {
      const { agentEnd } = await import('../../../src/sdk/agent-end.ts')
      const { listenUds } = await import('../../../src/transport/uds/uds-listener.ts')
      const end = agentEnd(agent, {})
      const listener = await listenUds(address, end.options)
      return end.run({ address: listener.address, port: 0, release: () => listener.close() })
    }
    case 'grpc': {
      const { serveGrpc } = await import('../../../src/sdk/serve.ts')
      return serveGrpc(address, agent)
    }
    case 'reverse': {
      const { dialIn } = await import('../../../src/sdk/dial-in.ts')
      const backoff = { initialMs: 50, maxMs: 400 }
      const token = 'secret'
      return dialIn(address, agent, { token, connections: Number(connections), instance, backoff, probe: {} })
    }
    default:
      throw new Error(`unknown kind of agent: ${kind}`)
  }
}

const running = await start()
const commands: Readonly<Record<string, () => unknown>> = {
  seen: () => console.log(`seen ${seen}`),
  torn: () => console.log(`torn ${torn}`),
  hold: () => {
    held ??= []
    console.log('hold')
  },
  held: () => console.log(`held ${held?.length ?? 0}`),
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

import { createInterface } from 'node:readline'
import type { Agent } from '../../src/sdk/agent.ts'
import { allow } from '../../src/sdk/answer.ts'
import { dialIn } from '../../src/sdk/dial-in.ts'
import type { RunningAgent } from '../../src/sdk/running-agent.ts'
import { serveGrpc, serveUds } from '../../src/sdk/serve.ts'

/*
 * An SDK agent in a process of its own: `agent uds PATH [keep]`, `agent grpc HOST:PORT`, `agent reverse ADDRESS TOKEN N`.
 * It marks what it saw with a header, and says on request how many events its handlers ran.
 */
let seen = 0
let bytes = 0
const agent: Agent = {
  name: 'bench',
  onRequestHeaders: () => {
    seen++
    return allow().setRequestHeader('x-ref-agent', '1')
  },
  onRequestBody: (chunk) => {
    seen++
    for (let at = 0; at < chunk.data.length; at += 4096) bytes += chunk.data[at]!
    return allow()
  },
}

async function start(kind: string | undefined, address: string): Promise<RunningAgent> {
  if (kind === 'uds') return serveUds(address, agent, { reuseBodyMemory: process.argv[4] !== 'keep' })
  if (kind === 'grpc') return serveGrpc(address, agent, { reuseBodyMemory: true })
  if (kind === 'reverse') {
    return dialIn(address, agent, { token: process.argv[4] ?? '', connections: Number(process.argv[5] ?? 4) })
  }
  throw new Error(`unknown kind of agent: ${kind}`)
}

const running = await start(process.argv[2], process.argv[3]!)
console.log(`ready ${running.port}`)
createInterface({ input: process.stdin })
  .on('line', () => console.log(`seen ${seen} ${bytes}`))
  .on('close', () => process.exit(0))

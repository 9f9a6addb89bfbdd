import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Listener } from '../src/transport/proxy-link.ts'
import { listenReverse } from '../src/transport/reverse/reverse-listener.ts'
import { udsDialer } from '../src/transport/uds/uds-dialer.ts'
import { program, udsAgent } from './harness/agents.ts'
import { countingLoop } from './harness/load.ts'
import { BenchProcess } from './harness/process.ts'
import { type BenchOptions, type BenchResult, type Row, row } from './harness/result.ts'
import { interleave, median, pairedRange, pairedRatio } from './harness/statistics.ts'
import { type AgentSource, CONNECTIONS, HANDSHAKE, type WeirSide, weirSide } from './harness/weir-side.ts'

/** An agent that dialed in beside the same agent dialed on a Unix socket, same encoding. */
export async function run({ quick }: BenchOptions): Promise<BenchResult> {
  /* Short turns: at 1 in flight the machine changes its speed within seconds, by more than what is looked for. */
  const durationMs = quick ? 150 : 500
  const folder = mkdtempSync(join(tmpdir(), 'weir-bench-'))
  const address = `unix:${join(folder, 'agents.sock')}`
  let listener: Listener | undefined
  let dialing: BenchProcess | undefined
  const source: AgentSource = {
    async feed(pool) {
      listener = await listenReverse(address, {
        proxyId: 'weir',
        proxyVersion: '0.6.54',
        admit: () => ({ isAdmitted: true, connectionId: 'bench' }),
        onConnection: (connection) => void pool.adopt(connection),
        encodings: ['json'],
      })
      dialing = new BenchProcess(process.execPath, [
        program('agent'),
        'reverse',
        address,
        'token',
        String(CONNECTIONS),
      ])
    },
  }
  const agent = await udsAgent()
  const dialed = await weirSide(() => udsDialer(agent.address, HANDSHAKE), 'x-ref-agent')
  const reverse = await weirSide(source, 'x-ref-agent')
  const rows: Row[] = []
  for (const inFlight of quick ? [64] : [1, 64]) {
    const load = (side: WeirSide) => () => countingLoop(side.start, inFlight, durationMs)
    await load(reverse)()
    const results = await interleave(quick ? 1 : 21, {
      reverse: load(reverse),
      dialed: load(dialed),
    })
    rows.push(
      row(`@${inFlight}`, pairedRatio(results['reverse']!, results['dialed']!), 0.97, {
        reverse: median(results['reverse']!),
        dialed: median(results['dialed']!),
        range: pairedRange(results['reverse']!, results['dialed']!),
      }),
    )
  }
  await reverse.close()
  await dialed.close()
  await dialing?.stop()
  await listener?.close()
  await agent.stop()
  rmSync(folder, { recursive: true, force: true })
  return { bench: 'pool-reverse', rows }
}

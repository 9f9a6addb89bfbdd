import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import type { PushesView, PushState, PushView } from '../../admin/views.ts'
import type { AdminClient } from '../admin-client.ts'
import { durationMs, queryOf, wholeNumber } from '../arguments.ts'
import { withExamples } from '../examples.ts'
import { EXIT } from '../exit-code.ts'
import { type DaemonOptions, findDaemon, withDaemon } from '../find-daemon.ts'
import { print } from '../output.ts'
import { table } from '../table.ts'

/** Connections that cannot be told are replaced one after the other, some seconds each. */
const DEFAULT_WAIT_MS = 30_000
/** Between two looks at pushes under way, milliseconds. */
const LOOK_EVERY_MS = 100

/** `push` and `pushes`: configurations of agents, told again, and what became of it. */
export function addPushCommands(program: Command): void {
  const push = withDaemon(program.command('push'))
    .description(
      'tell agents their configuration (agents.NAME.config) again; exit 1 unless every one that was told takes it',
    )
    .argument('[agent]', 'this agent only (default: all that can be told while they run)')
    .option('--wait <duration>', 'wait this long for their answers (default: 30s)', durationMs)
    .option('--no-wait', 'do not wait for their answers; exit 0')
    .action(
      async (agent: string | undefined, options: DaemonOptions & { readonly wait?: number | boolean }) => {
        const daemon = await findDaemon(options)
        const begun = await daemon.call<PushesView>(
          'POST',
          '/v1/pushes',
          agent === undefined ? {} : { agent },
        )
        const waitMs = typeof options.wait === 'number' ? options.wait : DEFAULT_WAIT_MS
        const pushes = options.wait === false ? begun.pushes : await settled(daemon, begun.pushes, waitMs)
        if (options.wait !== false && !pushes.every(isTaken)) process.exitCode = EXIT.negative
        const view: PushesView = { ...begun, pushes }
        print(options.json === true, view, () => pushText(view))
      },
    )
  withExamples(push, 'weir push waf', 'weir push --no-wait && weir pushes')

  const pushes = withDaemon(program.command('pushes'))
    .description('show the latest pushes of configurations and how the agents took them')
    .argument('[agent]', 'of this agent only')
    .option('--limit <count>', 'pushes to show, at most 1000', wholeNumber(1, 1000), 20)
    .action(async (agent: string | undefined, options: DaemonOptions & { readonly limit: number }) => {
      const query = queryOf({ agent, limit: options.limit })
      const found = await (await findDaemon(options)).call<PushView[]>('GET', `/v1/pushes${query}`)
      print(options.json === true, found, () => (found.length === 0 ? 'no pushes so far' : pushTable(found)))
    })
  withExamples(pushes, 'weir pushes', 'weir pushes waf --limit 5 --json')
}

/** The pushes once none is under way any more, or as they are when time is up. */
async function settled(
  daemon: AdminClient,
  begun: readonly PushView[],
  waitMs: number,
): Promise<readonly PushView[]> {
  const deadline = performance.now() + waitMs
  let pushes = begun
  while (pushes.some(({ state }) => isUnderWay(state)) && performance.now() < deadline) {
    await sleep(LOOK_EVERY_MS)
    const now = await Promise.all(
      [...new Set(begun.map(({ agent }) => agent))].map((agent) =>
        daemon.call<PushView[]>('GET', `/v1/pushes${queryOf({ agent, limit: 100 })}`),
      ),
    )
    const latest = new Map(now.flat().map((one) => [`${one.agent} ${one.id}`, one]))
    pushes = pushes.map((one) => latest.get(`${one.agent} ${one.id}`) ?? one)
  }
  return pushes
}

function isUnderWay(state: PushState): boolean {
  return state === 'pending' || state === 'replacing'
}

function isTaken({ state }: PushView): boolean {
  return state === 'acknowledged' || state === 'replaced'
}

function pushText({ pushes, skipped }: PushesView): string {
  const lines = skipped.map(({ agent, reason }) => `${agent} was left out: ${reason}`)
  if (pushes.length > 0) lines.unshift(pushTable(pushes))
  return lines.length === 0 ? 'there are no agents' : lines.join('\n')
}

function pushTable(pushes: readonly PushView[]): string {
  return table(pushes, [
    ['AGENT', (push) => push.agent],
    ['PUSH', (push) => push.id],
    ['VERSION', (push) => push.version],
    ['AT', (push) => push.at],
    ['STATE', (push) => push.state],
    ['CONNECTIONS', (push) => summary(push)],
    ['ERROR', (push) => push.connections.find(({ error }) => error !== undefined)?.error ?? ''],
  ])
}

/** `3 acknowledged, 1 refused`. */
function summary({ connections }: PushView): string {
  const counts = new Map<PushState, number>()
  for (const { state } of connections) counts.set(state, (counts.get(state) ?? 0) + 1)
  return [...counts].map(([state, count]) => `${count} ${state}`).join(', ')
}

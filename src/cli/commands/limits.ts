import type { Command } from 'commander'
import type { LimitKeysView, LimitView } from '../../admin/views.ts'
import { queryOf, segment, wholeNumber } from '../arguments.ts'
import { withExamples } from '../examples.ts'
import { type DaemonOptions, findDaemon, withDaemon } from '../find-daemon.ts'
import { print, warn } from '../output.ts'
import { table } from '../table.ts'
import { shortTime } from '../times.ts'

interface LimitsOptions extends DaemonOptions {
  readonly key?: string
  readonly top?: 'denials' | 'remaining'
  readonly limit: number
  readonly reveal?: boolean
}

/** `limits`: of agents, of one key, or the keys that stand out. */
export function addLimitCommands(program: Command): void {
  const limits = withDaemon(program.command('limits'))
    .description('show the rate limits and what is left of them; looking takes nothing')
    .argument('[agent]', 'of this agent only')
    .option('--key <key>', 'the buckets of one client address, session, route or header value')
    .addOption(
      program
        .createOption('--top <order>', 'the keys denied most, or with the smallest share left')
        .choices(['denials', 'remaining']),
    )
    .option('--limit <count>', 'keys to show, at most 1000', wholeNumber(1, 1000), 20)
    .option('--reveal', 'show keys in full although they may be credentials; leaves an audit line')
    .action(async (agent: string | undefined, options: LimitsOptions) => {
      if (options.key === undefined && options.top === undefined) await printLimits(agent, options)
      else if (agent === undefined)
        limits.error('error: --key and --top need an agent; example: weir limits waf --top denials')
      else await printKeys(agent, options)
    })
  withExamples(
    limits,
    'weir limits',
    'weir limits waf --key 203.0.113.7',
    'weir limits waf --top denials --limit 10',
  )
}

async function printLimits(agent: string | undefined, options: LimitsOptions): Promise<void> {
  const daemon = await findDaemon(options)
  const limits = await daemon.call<LimitView[]>('GET', `/v1/limits${queryOf({ agent })}`)
  print(options.json === true, limits, () =>
    limits.length === 0
      ? 'no limits'
      : table(limits, [
          ['AGENT', (limit) => limit.agent],
          ['LIMIT', (limit) => limit.name],
          ['KEY', (limit) => limit.key],
          ['RATE', (limit) => `${limit.ratePerSecond}/s`],
          ['BURST', (limit) => limit.burst],
          ['PER', (limit) => limit.cost],
          ['LEFT', (limit) => limit.remaining ?? (limit.key === 'agent' ? 'unknown' : 'per key')],
          ['KEYS', (limit) => limit.keys],
          ['DENIED', (limit) => limit.denials],
          ['SHADOW', (limit) => limit.shadowDenials],
          ['MODE', (limit) => (limit.isShadow ? 'shadow' : 'enforced')],
        ]),
  )
}

async function printKeys(agent: string, options: LimitsOptions): Promise<void> {
  const { key, top, limit, reveal } = options
  const daemon = await findDaemon(options)
  const query = queryOf({ key, by: top, limit, reveal })
  const path = `/v1/agents/${segment(agent)}/limits/keys${query}`
  const view = await daemon.call<LimitKeysView>('GET', path)
  print(options.json === true, view, () =>
    view.keys.length === 0
      ? `no key of ${agent} ${top === 'remaining' ? 'has used any tokens' : 'was denied'}`
      : table(view.keys, [
          ['KEY', (one) => one.key],
          ['LIMIT', (one) => one.limit],
          ['LEFT', (one) => one.remaining],
          ['BURST', (one) => one.burst],
          ['FULL IN', (one) => (one.resetMs === undefined ? 'never' : shortTime(one.resetMs))],
          [view.keys.some((one) => one.isShadow) ? 'DENIED OR COUNTED' : 'DENIED', (one) => one.denials],
          ['MODE', (one) => (one.isShadow ? 'shadow' : 'enforced')],
          ['FROM', (one) => one.from],
        ]),
  )
  if (!view.isComplete) warn('there are more keys than one look reads; others may stand out more')
}

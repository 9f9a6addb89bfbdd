import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { WeirError } from '../core/errors.ts'
import { parseAddress } from '../daemon/config/addresses.ts'
import { AdminClient } from './admin-client.ts'

export interface DaemonOptions {
  readonly config?: string
  readonly admin?: string
  readonly json?: boolean
}

const DEFAULT_FILE = 'weir.yaml'

/** Options by which a command finds its daemon. */
export function withDaemon(command: Command): Command {
  return command
    .option(
      '-c, --config <file>',
      `configuration file of the daemon (default: ${DEFAULT_FILE} if there is one)`,
    )
    .option('--admin <address>', 'admin address, 127.0.0.1:9901 or unix:path (or set WEIR_ADMIN)')
    .option('--json', 'print JSON')
}

/** @throws WeirError INVALID_ARGUMENT when no option leads to a daemon */
export async function findDaemon(options: DaemonOptions): Promise<AdminClient> {
  const text = options.admin ?? (options.config === undefined ? process.env['WEIR_ADMIN'] : undefined)
  if (text !== undefined) {
    const address = parseAddress(text)
    if (address === undefined)
      throw new WeirError('INVALID_ARGUMENT', `"${text}" is no address; example: 127.0.0.1:9901`)
    return new AdminClient(address)
  }
  if (options.config === undefined && !existsSync(DEFAULT_FILE))
    throw new WeirError('INVALID_ARGUMENT', 'which daemon? give -c FILE, --admin ADDRESS or set WEIR_ADMIN')
  const { adminAddressOf } = await import('../daemon/config/admin-address.ts')
  return new AdminClient(adminAddressOf(options.config ?? DEFAULT_FILE))
}

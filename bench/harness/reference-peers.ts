import { existsSync } from 'node:fs'
import { join } from 'node:path'

export interface ReferencePeers {
  readonly agent: string
  readonly pool: string
}

/** Folder of the built reference pool and agent; see bench/README.md for how they are built. */
const VARIABLE = 'WEIR_REFERENCE_PEERS'

/** The reference protocol's own programs, or a sentence that says why they are absent. */
export function referencePeers(): ReferencePeers | string {
  const folder = process.env[VARIABLE]
  if (folder === undefined) return `${VARIABLE} is not set`
  const peers = { agent: join(folder, 'ref-agent'), pool: join(folder, 'ref-pool') }
  if (!existsSync(peers.agent) || !existsSync(peers.pool)) return `no ref-agent and ref-pool in ${folder}`
  return peers
}

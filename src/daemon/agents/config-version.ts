import { contentHash } from '../../sdk/configuration.ts'

/** Hex digits that tell the contents of one agent's configuration apart. */
const VERSION_DIGITS = 16

/**
 * Names the content of an agent's configuration: the same on every connection, after a restart, and whatever the
 * order of its keys, so that an agent can tell a repetition from a change. Undefined when there is none.
 */
export function configVersion(config: unknown): string | undefined {
  return config === undefined ? undefined : contentHash(config).slice(0, VERSION_DIGITS)
}

import { createHash } from 'node:crypto'
import type { TestContext } from 'node:test'
import { AgentProcess } from '../integration/agent-process.ts'

export type GuardKind = 'uds' | 'grpc' | 'reverse'

/** SHA-256 of the token that guards dial in with. */
export const GUARD_TOKEN_SHA256 = createHash('sha256').update('secret').digest('hex')

/** Starts test/e2e/programs/guard.ts in a process of its own, which ends with the test. */
export async function startGuard(
  t: TestContext,
  kind: GuardKind,
  address: string,
  options: { readonly names?: string; readonly delayMs?: number } = {},
): Promise<AgentProcess> {
  const { names = 'guard', delayMs = 0 } = options
  const args = [kind, address, names, String(delayMs)]
  const guard = await AgentProcess.start('../../e2e/programs/guard', args)
  t.after(() => guard.kill())
  return guard
}

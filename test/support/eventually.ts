import { setTimeout as sleep } from 'node:timers/promises'

/** Waits until `condition` holds; fails with `what` after `timeoutMs`, long for a busy machine. For states no event announces. */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 15_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`did not happen within ${timeoutMs} ms: ${what}`)
    await sleep(5)
  }
}

import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

/** Agents dial in and are dialed within this, or something is wrong. Milliseconds. */
const READY_WITHIN_MS = 20_000

/** Waits until Weir and all agents are ready. Rejects with the checks that still fail. */
export async function untilReady(adminSocket: string): Promise<void> {
  const deadline = performance.now() + READY_WITHIN_MS
  for (;;) {
    const answer = await readiness(adminSocket)
    if (answer.isReady) return
    if (performance.now() > deadline)
      throw new Error(`not ready within ${READY_WITHIN_MS} ms:\n${answer.text}`)
    await sleep(50)
  }
}

function readiness(socketPath: string): Promise<{ readonly isReady: boolean; readonly text: string }> {
  return new Promise((resolve) => {
    const call = request({ socketPath, path: '/readyz', headers: { connection: 'close' } }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (part: string) => {
        text += part
      })
      response.on('end', () => resolve({ isReady: response.statusCode === 200, text }))
    })
    call.on('error', (error) => resolve({ isReady: false, text: error.message }))
    call.end()
  })
}

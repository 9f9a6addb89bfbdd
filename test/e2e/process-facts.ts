import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** Resident memory of a process. Linux. */
export function residentBytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  if (kilobytes === undefined) throw new Error(`process ${pid} has no resident memory: it has ended`)
  return Number(kilobytes) * 1024
}

/** Descriptors that a process has open. Linux. */
export function openDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

/** The same, once it has not changed for a second: connections that are kept for a while are gone by then. */
export async function restingDescriptors(pid: number): Promise<number> {
  let count = openDescriptors(pid)
  for (let same = 0, polls = 0; same < 10; polls++) {
    if (polls > 100) throw new Error(`the descriptors of process ${pid} do not come to rest: ${count}`)
    await sleep(100)
    const now = openDescriptors(pid)
    same = now === count ? same + 1 : 0
    count = now
  }
  return count
}

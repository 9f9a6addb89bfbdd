import { readdirSync, readFileSync } from 'node:fs'

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

import { execFileSync } from 'node:child_process'
import type { TestContext } from 'node:test'
import { temporaryFolder } from './temp-folder.ts'

/** A folder that is a file system of its own, or undefined where mounting is not allowed; it goes with the test. */
export async function smallDisk(test: TestContext, size: string): Promise<string | undefined> {
  let mounted: string | undefined
  /* Before the folder's own hook, which removes it. */
  test.after(() => mounted !== undefined && unmount(mounted))
  const folder = await temporaryFolder(test)
  if (!mountDisk(folder, size)) return undefined
  mounted = folder
  return folder
}

/** Lays an empty file system over a folder. False where mounting is not allowed. */
export function mountDisk(folder: string, size: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** What is on it stays readable; fails while a file is open for writing. */
export function makeReadOnly(folder: string): void {
  execFileSync('mount', ['-o', 'remount,ro', folder])
}

export function unmount(folder: string): void {
  execFileSync('umount', ['-l', folder])
}

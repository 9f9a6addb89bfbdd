import { printable } from './printable.ts'

/** Writes a result: JSON for programs, text for people. */
export function print(isJson: boolean, value: unknown, text: () => string): void {
  process.stdout.write(`${isJson ? JSON.stringify(value, undefined, 2) : printable(text())}\n`)
}

/** Writes what went wrong: an object with `error` for programs, one line for people. */
export function printError(isJson: boolean, code: string, message: string): void {
  if (isJson) process.stdout.write(`${JSON.stringify({ error: { code, message } }, undefined, 2)}\n`)
  else process.stderr.write(`weir: ${printable(message)}\n`)
}

/** Writes a remark beside a result. */
export function warn(message: string): void {
  process.stderr.write(`weir: ${printable(message)}\n`)
}

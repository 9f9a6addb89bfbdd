import { createInterface } from 'node:readline'

/*
 * Does nothing but turn its event loop, as a load generator does, and says how often it was kept from it. Commands, a line
 * each on standard input: `spin` begins; `rest` ends and answers with the share of the time that went by in turns of a
 * millisecond and more, of which there should be none.
 */
const LONG_MS = 1

let isSpinning = false
let startedAt = 0
let turnedAt = 0
let lostMs = 0

function turn(): void {
  if (!isSpinning) return
  const now = performance.now()
  if (now - turnedAt >= LONG_MS) lostMs += now - turnedAt
  turnedAt = now
  setImmediate(turn)
}

function obey(command: string): void {
  isSpinning = command === 'spin'
  if (!isSpinning) {
    console.log(`lost ${lostMs / (performance.now() - startedAt)}`)
    return
  }
  lostMs = 0
  startedAt = performance.now()
  turnedAt = startedAt
  turn()
}

console.log('ready')
createInterface({ input: process.stdin })
  .on('line', obey)
  .on('close', () => process.exit(0))

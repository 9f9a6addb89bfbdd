import { randomBytes } from 'node:crypto'

/** Digits of the sequence part, so that its low bits can be read from its last characters alone. */
const DIGITS = '0123456789abcdefghijklmnopqrstuv'
const SLOT_DIGITS = 3
/** How many slot numbers {@link slotOf} can tell apart: 32^3. */
export const SLOT_RANGE = 32 ** SLOT_DIGITS

const TAILS = Array.from(
  { length: SLOT_RANGE },
  (_, n) => DIGITS[n >> 10]! + DIGITS[(n >> 5) & 31]! + DIGITS[n & 31]!,
)
const VALUE_OF_CODE = new Int8Array(128).fill(-1)
for (let digit = 0; digit < DIGITS.length; digit++) VALUE_OF_CODE[DIGITS.charCodeAt(digit)] = digit

/** Prefixes there are; each serves {@link SLOT_RANGE} ids. */
const PREFIXES = 32 ** 8

/**
 * Makes the correlation ids of this process: `<8 characters>-<3 digits>`, unique per process without coordination and
 * never taken from a client. The digits name a slot in the pending tables; when they are used up the prefix, random at
 * first, counts on. Twelve characters: V8 keeps a longer concatenation as a tree, and pays for it when it is first read.
 */
export class CorrelationIds {
  #prefix: number
  #low = 0
  #head: string

  /** `prefix`: eight digits of base 32 to begin with. */
  constructor(prefix: string = randomPrefix()) {
    this.#prefix = Number.parseInt(prefix, 32)
    this.#head = headOf(this.#prefix)
  }

  next(): string {
    const id = this.#head + TAILS[this.#low]!
    if (++this.#low === SLOT_RANGE) {
      this.#low = 0
      this.#prefix = (this.#prefix + 1) % PREFIXES
      this.#head = headOf(this.#prefix)
    }
    return id
  }
}

function headOf(prefix: number): string {
  return `${prefix.toString(32).padStart(8, '0')}-`
}

/** The slot number an id ends in, 0 to SLOT_RANGE - 1, or -1 when the id was not made here. */
export function slotOf(id: string): number {
  const length = id.length
  if (length < 12 || id.charCodeAt(8) !== 0x2d) return -1
  const a = id.charCodeAt(length - 3)
  const b = id.charCodeAt(length - 2)
  const c = id.charCodeAt(length - 1)
  if ((a | b | c) > 127) return -1
  const slot = (VALUE_OF_CODE[a]! << 10) | (VALUE_OF_CODE[b]! << 5) | VALUE_OF_CODE[c]!
  return slot < 0 ? -1 : slot
}

function randomPrefix(): string {
  let prefix = ''
  for (const byte of randomBytes(8)) prefix += DIGITS[byte & 31]!
  return prefix
}

/** The high bits of four bytes. */
export const MARK_BITS = 0x8080_8080

/** Of four bytes of ASCII: high bits are set when one of them is a control character, a quote or a backslash. */
export function jsonMarks(word: number): number {
  return (word - 0x2020_2020) | ((word ^ 0x2222_2222) - 0x0101_0101) | ((word ^ 0x5c5c_5c5c) - 0x0101_0101)
}

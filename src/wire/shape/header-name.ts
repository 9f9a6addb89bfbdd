/** Names are lower case on most wires already, and asking is cheaper than converting. */
export function lowerCaseName(name: string): string {
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i)
    if ((code >= 0x41 && code <= 0x5a) || code > 0x7f) return name.toLowerCase()
  }
  return name
}

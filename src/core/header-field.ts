/** A token of RFC 9110. */
const NAME = /^[\w!#$%&'*+.^`|~-]+$/
const BAD_VALUE = /[^\t\x20-\x7e\x80-\xff]/

/** A value that can stand in a header field: one byte per character, no control characters but tab. */
export function isFieldValue(value: string): boolean {
  return !BAD_VALUE.test(value)
}

export function isFieldName(name: string): boolean {
  return NAME.test(name)
}

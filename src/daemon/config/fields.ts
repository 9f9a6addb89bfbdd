import { z } from 'zod'

/** Stands for the offending value in a message; filled in from the file as written, so secrets stay hidden. */
export const GOT = '\u0000'

type ErrorText = (issue: { readonly input?: unknown }) => string

/** Error text of an option: what it takes, what it got, and one value that works. */
export function expected(what: string, example: unknown): ErrorText {
  return () => `expected ${what}, got ${GOT}; example: ${show(example)}`
}

function show(example: unknown): string {
  return typeof example === 'string' ? example : JSON.stringify(example)
}

/** Largest delay a timer takes, 2^31 - 1 milliseconds. */
const MAX_MS = 2_147_483_647

export function durationMs(example: number, description: string) {
  const error = expected(`a number of milliseconds above 0, at most ${MAX_MS}`, example)
  return z
    .number({ error })
    .gt(0, { error })
    .lte(MAX_MS, { error })
    .meta({ description, examples: [example] })
}

export function count(minimum: number, maximum: number, example: number, description: string) {
  const error = expected(`a whole number from ${minimum} to ${maximum}`, example)
  return z
    .number({ error })
    .int({ error })
    .gte(minimum, { error })
    .lte(maximum, { error })
    .meta({ description, examples: [example] })
}

export function number(minimum: number, maximum: number, example: number, description: string) {
  const error = expected(`a number from ${minimum} to ${maximum}`, example)
  return z
    .number({ error })
    .gte(minimum, { error })
    .lte(maximum, { error })
    .meta({ description, examples: [example] })
}

export function flag(description: string) {
  return z.boolean({ error: expected('true or false', true) }).meta({ description })
}

export function choice<const T extends readonly [string, ...string[]]>(values: T, description: string) {
  return z
    .enum(values, { error: expected(`one of ${values.join(', ')}`, values[0]) })
    .meta({ description, examples: [values[0]] })
}

export function text(what: string, example: string, description: string) {
  const error = expected(what, example)
  return z
    .string({ error })
    .min(1, { error })
    .meta({ description, examples: [example] })
}

/** A string that `parse` turns into something typed; undefined means that it cannot. */
export function parsed<T>(
  parse: (value: string) => T | undefined,
  what: string,
  example: string,
  description: string,
) {
  const error = expected(what, example)
  return z
    .string({ error })
    .meta({ description, examples: [example] })
    .transform((value, context) => {
      const result = parse(value)
      if (result !== undefined) return result
      context.addIssue({ code: 'custom', message: error({}) })
      return z.NEVER
    })
}

/** A mapping whose keys are all known. */
export function section<T extends z.ZodRawShape>(shape: T, description: string) {
  const names = Object.keys(shape)
  const what = `a mapping with ${names.slice(0, 4).join(', ')}${names.length > 4 ? ', ...' : ''}`
  return z
    .strictObject(shape, {
      error: (issue) =>
        issue.code === 'invalid_type' ? `expected ${what}, got ${GOT}; example: ${names[0]}: ...` : undefined,
    })
    .meta({ description })
}

export function list<T extends z.ZodType>(item: T, what: string, example: string, description: string) {
  return z.array(item, { error: expected(`a list of ${what}`, example) }).meta({ description })
}

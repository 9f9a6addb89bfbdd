import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WeirError } from '../../src/core/errors.ts'
import type { Agent } from '../../src/sdk/agent.ts'
import { checkAgent } from '../../src/sdk/agent-check.ts'
import { allow } from '../../src/sdk/answer.ts'
import { dialIn } from '../../src/sdk/dial-in.ts'

const refused = (agent: object, pattern: RegExp): void =>
  assert.throws(
    () => checkAgent(agent as Agent),
    (error) => error instanceof WeirError && error.code === 'INVALID_ARGUMENT' && pattern.test(error.message),
  )

test('a misspelt handler is refused, in an object and in a class', () => {
  refused({ name: 'waf', onRequestHeader: () => allow() }, /onRequestHeader is no handler.*onRequestHeaders/)
  class Waf {
    name = 'waf'
    onResponsebody() {
      return allow()
    }
  }
  refused(new Waf(), /onResponsebody/)
})

test('a handler that is no function is refused', () => {
  refused({ name: 'waf', onRequestHeaders: allow() }, /onRequestHeaders is a object/)
})

test('an agent without a name, or with an empty id, is refused', () => {
  refused({}, /name/)
  refused({ name: '' }, /name/)
  refused({ name: 'waf', id: '' }, /id/)
})

test('members of the agent itself, and handlers of a class, are fine', () => {
  class Waf implements Agent {
    readonly name = 'waf'
    readonly only = ['rule']
    ongoing = 0
    onRequestHeaders() {
      return allow().addRule(...this.only)
    }
  }
  checkAgent(new Waf())
  checkAgent({ name: 'waf', onRequestHeaders: undefined } as unknown as Agent)
})

test('a wrong agent is refused before anything is dialed', () => {
  const wrong = { name: 'waf', onRequest: () => allow() } as Agent
  assert.throws(() => dialIn('unix:/tmp/x.sock', wrong), WeirError)
})

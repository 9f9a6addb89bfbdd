import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attacksIn } from '../../deploy/demo/agents/attack-patterns.ts'
import { maskCardNumbers } from '../../deploy/demo/agents/card-numbers.ts'
import { requestPath } from '../../deploy/demo/agents/request-path.ts'

const ATTACKS = [
  '/?q=<script>alert(1)</script>',
  '/?q=%3cScRiPt%3e',
  '/?q=%253Cscript%253E',
  '/?q=%25253Cscript%25253E',
  '/?q=%u003cscript%u003e',
  '/?q=<%00script>',
  '/?q=＜script＞',
  '/?q=<img+src=x+onerror=alert(1)>',
  "/?id=1'%20OR%20'1'='1",
  "/?id=1'+or+1=1--",
  '/?id=1+OR+1=1',
  '/?id=1+UNION+ALL+SELECT+password',
  '/?id=1/**/union/**/select/**/1',
  '/?id=1;drop+table+users',
  "user=' OR 1=1 --",
  "user=admin'--",
]
for (const attack of ATTACKS)
  test(`an attack is seen: ${attack}`, () => assert.notDeepEqual(attacksIn(attack, true), []))

const HARMLESS = [
  "/?name=O'Reilly",
  "/?q=rock+'n'+roll",
  '/?q=select+a+union+of+sets',
  '/?q=this+or+that+=+both',
  '/scripts/app.js',
  '/?q=100%25+cotton',
  '/?q=%zz%3',
  '/?note=order+1+and+2',
]
for (const text of HARMLESS)
  test(`no attack is seen in ${text}`, () => assert.deepEqual(attacksIn(text, true), []))

test('card numbers keep their last four digits, their separators and their length', () => {
  assert.equal(maskCardNumbers('card 4111 1111 1111 1111.'), 'card **** **** **** 1111.')
  assert.equal(maskCardNumbers('4111-1111-1111-1111'), '****-****-****-1111')
  assert.equal(maskCardNumbers('x378282246310005y'), 'x***********0005y')
  assert.equal(maskCardNumbers('5555555555554444 4242424242424242'), '************4444 ************4242')
  assert.equal(maskCardNumbers('4111 1111 1111 1111 2026'), '**** **** **** 1111 2026')
})

test('numbers that fail the check digit, are too short or part of a longer one stay', () => {
  for (const text of [
    '1234567890123456',
    '411111111111',
    '94111111111111111119999999',
    '0000 0000 0000 0000',
  ])
    assert.equal(maskCardNumbers(text), text)
})

test('a path is seen as the server resolves it', () => {
  for (const path of [
    '/admin',
    '/%61dmin',
    '//admin',
    '/./admin',
    '/a/../admin',
    '/%2561dmin',
    '/ADMIN',
    '\\admin',
  ])
    assert.equal(requestPath(path), '/admin', path)
  assert.equal(requestPath('/%zz'), '/%zz')
})
